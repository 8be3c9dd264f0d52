"""How an encoder leaves, and how others' come in."""
