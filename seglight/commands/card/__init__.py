"""`card`: the quality of a net on a split, as a page, as numbers and as pictures."""
