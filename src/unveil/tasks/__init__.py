"""What judges an encoder."""
