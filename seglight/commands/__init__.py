"""Commands of `python -m seglight`, one per file or folder."""
