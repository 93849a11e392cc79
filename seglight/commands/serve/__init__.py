"""`serve`: label maps over HTTP, for programs, browsers and labelling tools."""
