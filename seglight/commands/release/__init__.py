"""`release`: writes a net to a folder that can be shared."""
