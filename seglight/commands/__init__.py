"""The commands of `python -m seglight`, one a file or a folder."""
