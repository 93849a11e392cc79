"""fit, validate and test."""
