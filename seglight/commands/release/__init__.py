"""release: a net as a folder that can be passed on."""
