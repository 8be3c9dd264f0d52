"""Recipes: which kind, encoder, method and training, checked against the code they name."""
