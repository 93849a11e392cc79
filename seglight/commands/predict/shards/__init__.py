"""Shards: parts of the inputs of `predict`, each predicted by a job of its own, here or on other machines."""
