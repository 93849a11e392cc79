"""Comparisons of seglight with other libraries, one file per question: `python -m benchmarks NAME`."""
