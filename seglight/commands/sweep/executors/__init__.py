"""Where trials run: on this machine, under Slurm, on a Ray cluster."""
