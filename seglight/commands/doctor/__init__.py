"""doctor: what is wrong with a data set. Worker processes start from here without torch."""
