"""Published weights of other projects, a family a file."""
