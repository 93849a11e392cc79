"""What is wrong with a data set. Worker processes import from here: nothing in this file may import torch."""
