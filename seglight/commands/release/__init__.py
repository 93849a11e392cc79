"""A net as a folder that can be passed on."""
