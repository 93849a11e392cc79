"""Commands beside training, one a file."""
