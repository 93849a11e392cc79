"""Checkpoints and released folders: read weights-only, built into nets, written whole."""
