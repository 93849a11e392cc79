"""Backend of Label Studio: predictions as brush strokes or polygons, for images that are fetched from there."""
