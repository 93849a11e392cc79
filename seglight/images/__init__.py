"""Pixels in and out: decoding, TIFF by window, video, label maps, drawing. Nothing here imports torch."""
