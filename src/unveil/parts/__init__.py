"""What methods and encoders are built from. No part knows a method, a kind or a data set."""
