"""`doctor`: finds mistakes in a data set. Worker processes start from here without torch."""
