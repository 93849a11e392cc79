"""What an image tells about its origin stays in the image: no output has its metadata."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

from tests.support.bad_input import CLI
from tests.support.exported import red

SECRET = "52.5163N"


def test_outputs_have_none_of_it(tmp_path: Path, seglight_cli: CLI) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[Base.ImageDescription] = SECRET
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSDateStamp] = SECRET
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.jpg", exif=exif, comment=SECRET.encode(), xmp=SECRET.encode())
    text = PngInfo()
    text.add_text("Comment", SECRET)
    Image.fromarray(pixels).save(tmp_path / "in" / "b.png", exif=exif, pnginfo=text)
    for path in (tmp_path / "in").iterdir():
        assert SECRET.encode() in path.read_bytes()
    ran = seglight_cli(
        "predict", red(tmp_path / "red.onnx"), tmp_path / "in", "--out", tmp_path / "out",
        "--save", "overlay", "csv", "coco",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) == 6
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    for path in written:
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                assert not dict(image.getexif())
