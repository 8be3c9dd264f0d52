"""Label-free figures of features and what they mean, usable from any code."""
