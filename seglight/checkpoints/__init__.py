"""Checkpoints and released folders: read without running anything in them, and written whole."""
