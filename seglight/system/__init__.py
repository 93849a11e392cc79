"""The process that a command runs in: files, checksums, signals, memory, sums over processes."""
