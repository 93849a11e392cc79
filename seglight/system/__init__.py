"""The process: atomic files, signals, memory, threads, sums over processes, configurations."""
