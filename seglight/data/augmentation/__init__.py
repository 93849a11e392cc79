"""Random crops, flips and colour changes of training samples."""
