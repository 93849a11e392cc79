"""Offline HTML pages of commands: one file, nothing loaded from elsewhere, no script."""
