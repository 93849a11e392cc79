"""Exported files as predictors, each run by its own runtime."""
