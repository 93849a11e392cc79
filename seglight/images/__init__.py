"""Pixels in and out: decoding, label maps, video, drawing. Nothing here imports torch."""
