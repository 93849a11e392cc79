"""Predictors for exported files, one runtime per format."""
