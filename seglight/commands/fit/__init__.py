"""`fit`, `validate` and `test`, on the command line and in Python."""
