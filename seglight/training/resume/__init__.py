"""State that a run needs to resume exactly, and the lock of its folder."""
