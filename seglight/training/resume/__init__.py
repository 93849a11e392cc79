"""What a run needs to continue exactly where it stopped, and who may write to its folder."""
