"""`init`: recognises a labelled data set and writes a recipe for it."""
