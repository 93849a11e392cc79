"""Checkpoints, model cards and released folders: reading, building nets, writing."""
