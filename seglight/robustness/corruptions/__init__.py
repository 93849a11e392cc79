"""Corruptions of images: noise, blur, weather, and losses of a camera, by kind and severity."""
