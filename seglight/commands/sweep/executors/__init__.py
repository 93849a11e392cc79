"""Executors, which run the trials of a sweep: this machine, Slurm, Ray."""
