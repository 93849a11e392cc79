"""Where the trials of a sweep run: this machine, Slurm, Ray."""
