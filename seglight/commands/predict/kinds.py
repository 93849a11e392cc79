"""Kinds of outputs, and where they lie below the output folder."""

LABELS = "labels"
"""Kind of the label map, which is always written: all others except probabilities are made from it."""

FILES = {
    LABELS: ("", ".png"),
    "overlay": ("overlay", ".jpg"),
    "probabilities": ("probabilities", ".npz"),
    "cityscapes": ("cityscapes", ".png"),
    "ade": ("ade", ".png"),
    "video": ("video", ".mp4"),
    "geotiff": ("geotiff", ".tif"),
    "polygons": ("polygons", ".gpkg"),
    "geojson": ("geojson", ".geojson"),
}
"""Folder and suffix of the files of each kind of output."""

PLACED = ("geotiff", "polygons", "geojson")
"""Kinds that lie on a map, as the georeference of the image says."""

TABLES = {"csv": "shares.csv", "coco": "coco.json", "coco_polygons": "coco_polygons.json"}
"""File of each kind of output that is one for all images."""

_COCO = (b'{"images": [{"id": 1, "file_name": ', b'{"images": []')

BEGINNINGS = {"csv": (b"image,",), "coco": _COCO, "coco_polygons": _COCO}
"""How these files begin, by which one that `predict` has not written is recognised."""
