"""Attacks: perturbations of an image within a ball that make a net's labels wrong, one per file."""
