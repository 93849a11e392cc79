"""Images of unusual kinds: what 8-bit RGB holds without loss, and what it does not hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Y, X = np.mgrid[:33, :47]
RGB = np.stack((4 * X, 5 * Y, 120 + X - Y), 2).astype(np.uint8)
TWELVE = RGB.astype(np.uint16) * 16
IMAGE = Image.fromarray(RGB)
TURNED = IMAGE.transpose(Image.Transpose.ROTATE_180)
PALETTE = IMAGE.quantize(8)
OPAQUE = np.full((33, 47, 1), 255, np.uint8)
HALF = OPAQUE.copy()
HALF[5, 7] = 128
NIR = np.dstack([RGB, RGB[..., :1]])

Make = Callable[[Path], Any]


def save(image: Image.Image, **options: Any) -> Make:
    return lambda path: image.save(path, **options)


def tiff(pixels: NDArray[Any], **options: Any) -> Make:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def write(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def alpha(values: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.dstack([RGB, values]))


def netpbm(most: int, pixels: NDArray[Any], kind: bytes = b"P6") -> bytes:
    return kind + f" 47 33 {most}\n".encode() + pixels.astype(np.uint8 if most < 256 else ">u2").tobytes()


READ: dict[str, tuple[Make, int]] = {
    "opaque.png": (save(alpha(OPAQUE)), 0),
    "opaque.tif": (save(alpha(OPAQUE)), 0),
    "opaque.webp": (save(alpha(OPAQUE), lossless=True), 0),
    "opaque.jp2": (save(alpha(OPAQUE)), 0),
    "key_of_no_pixel.png": (save(IMAGE, transparency=(1, 1, 1)), 0),
    "planar.tif": (tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"), 0),
    "rgb.ome.tif": (tiff(RGB, photometric="rgb", metadata={"axes": "YXS"}), 0),
    "one_frame.png": (save(IMAGE, save_all=True), 0),
    "rgb.ppm": (write(netpbm(255, RGB)), 0),
    "rgb.jp2": (write(imagecodecs.jpeg2k_encode(RGB, level=0)), 0),
    "rgb.j2k": (write(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k")), 0),
    "rgb.avif": (write(imagecodecs.avif_encode(RGB, level=100)), 2),
    "one_frame.gif": (save(PALETTE), 60),
    "palette_opaque.png": (save(PALETTE, transparency=bytes([255] * 8)), 60),
    "with_thumbnail.mpo": (save(IMAGE, format="MPO", save_all=True, append_images=[IMAGE.resize((20, 15))]), 9),
}

DEEP, FRAMES = r"; seglight reads unsigned integers of 8 bits: save it as 8-bit RGB", "2 frames or pictures in one file"
REFUSED: dict[str, tuple[Make, str]] = {
    "twelve.png": (lambda path: cv2.imwrite(str(path), TWELVE), f"3 channels of 16 bits{DEEP}"),
    "twelve.tif": (tiff(TWELVE, photometric="rgb"), f"3 channels of 16 bits{DEEP}"),
    "twelve.jp2": (write(imagecodecs.jpeg2k_encode(TWELVE, level=0)), f"3 channels of 16 bits{DEEP}"),
    "ten.avif": (write(imagecodecs.avif_encode(TWELVE // 4, bitspersample=10)), f"3 channels of 10 bits{DEEP}"),
    "twelve.avif": (write(imagecodecs.avif_encode(TWELVE, bitspersample=12)), f"3 channels of 12 bits{DEEP}"),
    "twelve.ppm": (write(netpbm(4095, TWELVE)), f"3 channels of 16 bits{DEEP}"),
    "twelve.pgm": (write(netpbm(4095, TWELVE[..., 0], b"P5")), f"1 channel of 16 bits{DEEP}"),
    "text.ppm": (write(b"P3 1 1 65535 1 2 3\n"), f"3 channels of 16 bits{DEEP}"),
    "float.tif": (tiff(RGB / np.float32(255), photometric="rgb"), f"3 channels of 32 bits, floating point{DEEP}"),
    "signed.tif": (tiff(RGB[..., 0].astype(np.int8)), f"1 channel of 8 bits, signed integers{DEEP}"),
    "nir.tif": (tiff(NIR, photometric="rgb", extrasamples=["unspecified"]), r"4 channels of 8 bits \(RGB and 1 more"),
    "nir_planar.tif": (
        tiff(np.moveaxis(NIR, -1, 0), photometric="rgb", planarconfig="separate", extrasamples=["unspecified"]),
        r"4 channels of 8 bits \(RGB and 1 more",
    ),
    "lab.tif": (save(IMAGE.convert("LAB")), "a TIFF of colours CIELAB; .*: convert it to PNG"),
    "cmyk_alpha.tif": (
        tiff(np.dstack([NIR, OPAQUE]), photometric="separated", extrasamples=["unassalpha"]),
        r"5 channels of 8 bits \(SEPARATED and 1 more\)",
    ),
    "palette.tif": (
        tiff(TWELVE[..., 0], photometric="palette", colormap=np.zeros((3, 65536), np.uint16)),
        "a TIFF of palette indices, 1 channel of 16 bits; .*: convert it to PNG",
    ),
    "jp2k.tif": (tiff(RGB, photometric="rgb", compression="jpeg2000"), "a TIFF compressed as JPEG2000"),
    "alpha.png": (save(alpha(HALF)), "1 pixel whose alpha is below 255: transparent, or another band"),
    "alpha.tif": (save(alpha(HALF)), "1 pixel whose alpha"),
    "alpha.webp": (save(alpha(HALF)), "1 pixel whose alpha"),
    "alpha.avif": (save(alpha(HALF), quality=100), "1 pixel whose alpha"),
    "alpha.jp2": (save(alpha(HALF)), "1 pixel whose alpha"),
    "grey_alpha.png": (save(alpha(HALF).convert("LA")), "1 pixel whose alpha"),
    "key.png": (save(IMAGE, transparency=(28, 30, 121)), "1 pixel whose alpha"),
    "palette_key.png": (save(PALETTE, transparency=3), r"\d+ pixels whose alpha"),
    "grey_key.png": (save(Image.fromarray(RGB[..., 0]), transparency=8), "33 pixels whose alpha"),
    "key.gif": (save(PALETTE, transparency=3), r"\d+ pixels whose alpha"),
    "moving.gif": (save(PALETTE, save_all=True, append_images=[TURNED.quantize(8)]), FRAMES),
    "moving.png": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "beside.png": (save(IMAGE, save_all=True, default_image=True, append_images=[TURNED]), FRAMES),
    "moving.webp": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "moving.avif": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "stereo.jpg": (save(IMAGE, format="MPO", save_all=True, append_images=[TURNED]), FRAMES),
    "two.ppm": (write(netpbm(255, RGB) * 2), FRAMES),
    "volume.tif": (
        tiff(np.zeros((4, 16, 16), np.uint8), volumetric=True, tile=(4, 16, 16), photometric="minisblack"),
        "a volume of 4 slices",
    ),
    "heic.jpg": (write(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)), "HEIC or HEIF; .*: convert it to PNG, JPEG"),
    "drawing.png": (write(b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'), "SVG; "),
    "layers.png": (write(b"8BPS\0\1" + bytes(30)), "Photoshop; "),
    "photo.nef": (tiff(RGB, photometric="rgb"), r"camera raw \(NEF\); "),
}
