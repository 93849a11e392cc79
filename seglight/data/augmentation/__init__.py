"""Random crops, flips, rotations and changes of colours and bands of training samples."""
