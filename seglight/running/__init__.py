"""A run: its folder and files, its processes and signals, and how it goes on."""
