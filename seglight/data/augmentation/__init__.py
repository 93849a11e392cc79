"""Random crops, flips and colours of training samples."""
