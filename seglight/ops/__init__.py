"""Pure functions: the hot kernels."""
