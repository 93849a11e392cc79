"""Files as they should be: what is damaged afterwards."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from seglight.checkpoints.release import write_release
from tests.support.checkpoint_files import write
from tests.support.exported import red

SIZE = (24, 40)

ENDINGS = (".png", ".tif", ".jpg", ".bmp", ".webp", ".gif", ".ppm", ".avif", ".jp2", ".apng", ".heic", ".txt")
"""Under which a file may lie that is of another kind."""

REFUSED = (
    "alpha.png", "transparent.png", "transparent_palette.png", "frames.png", "deep.png", "deep_grey.png", "frames.gif",
    "frames.avif", "deep.jp2", "frames.webp", "rgb.tga", "sixteen.tif", "float.tif", "signed.tif", "alpha.tif",
    "infrared.tif", "bands.tif",
)  # fmt: skip
"""Files that hold more than three bands of 8 bits, or are of a kind that is not read: no answer is right."""

SEVERAL = ("pages.tif", "sizes.tif")
"""Files whose pages are predicted one by one."""

NET = {
    "class_path": "seglight.models.EncoderDecoder",
    "init_args": {
        "encoder": {
            "class_path": "seglight.models.TimmEncoder",
            "init_args": {"name": "test_resnet", "weights": None, "depth": 2},
        },
        "decoder": {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}},
    },
}


def pixels() -> NDArray[np.uint8]:
    """Blocks of colour with a little noise: any codec brings red to the right side of 127."""
    rng = np.random.default_rng(5)
    blocks = rng.choice([40, 210], (3, 5, 3)).repeat(8, 0).repeat(8, 1)
    return np.asarray(blocks + rng.integers(-9, 9, blocks.shape), np.uint8)


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def images() -> dict[str, bytes]:
    """Image files by name, of all kinds of coding."""
    image = Image.fromarray(pixels())
    alpha = Image.fromarray(np.dstack([pixels(), pixels()[..., :1]]))
    opaque = Image.fromarray(np.dstack([pixels(), np.full(pixels().shape[:2], 255, np.uint8)]))
    frames: dict[str, Any] = {"save_all": True, "append_images": [Image.fromarray(255 - pixels())]}
    deep = pixels().astype(np.uint16) * 257
    turned = {f"turned{number}.jpg": _saved(image, "JPEG", quality=95, exif=_exif(number)) for number in range(1, 9)}
    turned |= {f"turned{number}.png": _saved(image, "PNG", exif=_exif(number)) for number in range(1, 9)}
    return turned | {
        "opaque.png": _saved(opaque, "PNG"),
        "transparent.png": _saved(image, "PNG", transparency=tuple(map(int, pixels()[0, 0]))),
        "transparent_palette.png": _saved(image.quantize(16), "PNG", transparency=0),
        "frames.png": _saved(image, "PNG", **frames),
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "deep_grey.png": cv2.imencode(".png", deep[..., 0])[1].tobytes(),
        "bits.png": _saved(image.convert("1"), "PNG"),
        "one.gif": _saved(image.quantize(16), "GIF"),
        "frames.gif": _saved(image, "GIF", **frames),
        "rgb.ppm": _saved(image, "PPM"),
        "grey.pgm": _saved(image.convert("L"), "PPM"),
        "rgb.avif": _saved(image, "AVIF", quality=90),
        "frames.avif": _saved(image, "AVIF", **frames),
        "rgb.jp2": _saved(image, "JPEG2000"),
        "deep.jp2": _saved(Image.fromarray(deep[..., 0]), "JPEG2000"),
        "frames.webp": _saved(image, "WEBP", **frames),
        "rgb.tga": _saved(image, "TGA"),
        "rgb.png": _saved(image, "PNG"),
        "palette.png": _saved(image.quantize(16), "PNG"),
        "alpha.png": _saved(alpha, "PNG"),
        "grey.png": _saved(image.convert("L"), "PNG"),
        "rgb.jpg": _saved(image, "JPEG", quality=95, subsampling=0),
        "progressive.jpg": _saved(image, "JPEG", quality=95, progressive=True),
        "cmyk.jpg": _saved(image.convert("CMYK"), "JPEG", quality=95),
        "rgb.webp": _saved(image, "WEBP", lossless=True),
        "rgb.bmp": _saved(image, "BMP"),
    }


def tiffs() -> dict[str, bytes]:
    """TIFF files by name, of all kinds of layout."""
    array = pixels()
    kinds: Mapping[str, tuple[NDArray[Any], dict[str, Any]]] = {
        "strips.tif": (array, {"rowsperstrip": 5}),
        "tiles.tif": (array, {"tile": (16, 16)}),
        "deflate.tif": (array, {"compression": "deflate", "rowsperstrip": 7}),
        "big.tif": (array, {"bigtiff": True}),
        "planar.tif": (array.transpose(2, 0, 1), {"planarconfig": "separate", "photometric": "rgb"}),
        "pages.tif": (np.stack([array, 255 - array]), {}),
        "grey.tif": (array[..., 0], {}),
        "sixteen.tif": (array.astype(np.uint16) * 257, {}),
        "float.tif": (array.astype(np.float32), {}),
        "signed.tif": (array[..., 0].astype(np.int16), {}),
        "alpha.tif": (np.dstack([array, array[..., :1]]), {"extrasamples": ["unassalpha"]}),
        "infrared.tif": (np.dstack([array, array[..., :1]]), {"extrasamples": ["unspecified"]}),
        "bands.tif": (np.dstack([array] * 4), {"extrasamples": ["unspecified"] * 9}),
        "turned.tif": (array, {"extratags": [(274, "H", 1, 6, True)]}),
        "lzw.tif": (array, {"compression": "lzw"}),
        "jpeg.tif": (array, {"compression": "jpeg"}),
        "zstd.tif": (array, {"compression": "zstd"}),
    }
    files = {}
    for name, (values, options) in kinds.items():
        file = io.BytesIO()
        tifffile.imwrite(file, values, **{"photometric": "rgb" if values.ndim > 2 else "minisblack"} | options)
        files[name] = file.getvalue()
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(array, photometric="rgb")
        writer.write(array[:8], photometric="rgb")
    return files | {"sizes.tif": file.getvalue()}


def models(folder: Path) -> dict[str, Path]:
    """A checkpoint, a released net and an exported file, by kind."""
    from seglight.checkpoints.checkpoint import load_net, net_weights, read_checkpoint
    from seglight.models import EncoderDecoder, TimmEncoder
    from seglight.models.decoders import FPN

    torch.manual_seed(0)
    net = EncoderDecoder(3, TimmEncoder("test_resnet", None, depth=2), lambda *fine: FPN(*fine, 8, 8))
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    checkpoint = write(folder / "net.ckpt", NET, state)
    _, card = load_net(checkpoint)
    description = replace(card, provenance=replace(card.provenance, step=1))
    write_release(folder / "released", description, net_weights(read_checkpoint(checkpoint)), "# A net\n")
    return {"checkpoint": checkpoint, "release": folder / "released", "onnx": red(folder / "red.onnx")}
