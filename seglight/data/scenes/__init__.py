"""Huge images, read by window: where training windows and validation tiles lie, and their pixels and labels."""
