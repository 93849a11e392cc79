"""The process that a command runs in: atomic files, signals, memory, threads, sums over processes."""
