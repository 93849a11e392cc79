"""Pixel input and output: decoding, TIFF by window, video, label maps, drawing. Without torch."""
