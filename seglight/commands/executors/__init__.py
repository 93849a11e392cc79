"""Executors, which run the jobs of a sweep or a prediction: this machine, Slurm, Ray."""
