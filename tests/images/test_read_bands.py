"""Images of any bands and type in every format, against what was written.

Covers: images.holding, images.plain_holding, images.tiff_holding, images.tiff_bands, images.heif, images.npy.
"""

from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from seglight.errors import UserError
from seglight.images.band_windows import band_windows
from seglight.images.bands import RGB, Bands
from seglight.images.decode import read_image
from seglight.images.image_header import UnreadImageError
from seglight.images.read_bands import decode_bands, holding, read_bands
from tests.support.band_images import described, noise

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "deflate": {"compression": "zlib", "predictor": True},
    "LZW": {"compression": "lzw", "tile": (16, 16)},
    "Zstandard": {"compression": "zstd"},
    "LZMA": {"compression": "lzma"},
    "LERC": {"compression": "lerc"},
    "big": {"bigtiff": True, "byteorder": ">", "compression": "zlib"},
    "big-endian": {"byteorder": ">"},
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_tiff_of_any_type_and_layout(kind: str, layout: str, tmp_path: Path) -> None:
    most = 200 if layout == "strips" else 4
    for planar, count in (("separate", 5), ("contig", 1), ("contig", most)):
        pixels = noise(count, kind)
        stored = np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels
        path = tmp_path / f"{planar}{count}.tif"
        more = LAYOUTS[layout]
        tifffile.imwrite(path, stored if count > 1 else pixels[..., 0], photometric="minisblack",
                         planarconfig=planar if count > 1 else None, **more)  # fmt: skip
        read = read_bands(path, described(count, kind))
        assert read.dtype == kind
        assert np.array_equal(read, pixels)
        assert np.array_equal(decode_bands(path.read_bytes(), "x.tif", described(count, kind)), pixels)


def test_pages_are_bands_by_choice_only(tmp_path: Path) -> None:
    pixels = noise(3, "uint16")
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.moveaxis(pixels, -1, 0), photometric="minisblack", metadata=None)
    assert holding(path).line() == "a TIFF of 1 band of uint16, 3 pages, 37 x 53"
    assert np.array_equal(read_bands(path, described(3, "uint16", pages=True)), pixels)
    with pytest.raises(UnreadImageError, match=r"if the pages are bands, declare `bands: .*, pages: true\}` with"):
        read_bands(path, described(3, "uint16"))
    with pytest.raises(UnreadImageError, match=r"3 pages.*declares 2 bands"):
        read_bands(path, described(2, "uint16", pages=True))


@pytest.mark.parametrize(
    ("axes", "shape", "says"),
    [
        ("CYX", (4, 37, 53), ""),
        ("CYXS", (2, 37, 53, 3), ""),
        ("TCYX", (2, 4, 37, 53), r"a stack of 2 times \(T\)"),
        ("ZCYX", (3, 2, 37, 53), r"a stack of 3 depths \(Z\)"),
        ("TZCYX", (2, 3, 2, 37, 53), r"a stack of 2 times \(T\) and 3 depths \(Z\)"),
        ("TZCYX", (1, 1, 4, 37, 53), ""),
    ],
)
def test_axes_of_ome(axes: str, shape: tuple[int, ...], says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.ome.tif"
    values = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    tifffile.imwrite(path, values, metadata={"axes": axes}, photometric="rgb" if "S" in axes else "minisblack")
    held = holding(path)
    bands = described(held.bands, "uint16")
    if says:
        with pytest.raises(UnreadImageError, match=says):
            read_bands(path, bands)
        return
    whole = tifffile.imread(path).reshape(-1, *shape[-2:]) if "S" not in axes else np.moveaxis(values, -1, 1)
    assert np.array_equal(read_bands(path, bands), np.moveaxis(whole.reshape(-1, 37, 53), 0, -1))


def test_stacks_of_imagej(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (3, 37, 53)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", values, imagej=True, metadata={"axes": "CYX"})
    assert np.array_equal(read_bands(tmp_path / "c.tif", described(3, "uint16")), np.moveaxis(values, 0, -1))
    tifffile.imwrite(tmp_path / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
    with pytest.raises(UnreadImageError, match="a stack of 3 depths"):
        read_bands(tmp_path / "z.tif", described(3, "uint16", pages=True))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_png(kind: str, count: int, tmp_path: Path) -> None:
    pixels = noise(count, kind)
    path = tmp_path / "x.png"
    path.write_bytes(imagecodecs.png_encode(pixels if count > 1 else pixels[..., 0]))
    read = read_bands(path, described(count, kind))
    assert read.dtype == kind
    assert np.array_equal(read, pixels)
    names = {3: " (red, green, blue)", 4: " (red, green, blue, alpha)"}.get(count, "")
    assert holding(path).line() == f"a PNG of {count} band{'s' * (count > 1)} of {kind}{names}, 37 x 53"


def test_jpeg_2000_of_many_bits_and_bands(tmp_path: Path) -> None:
    for count, kind in ((1, "uint16"), (3, "uint16"), (5, "uint8"), (1, "int16"), (4, "uint8")):
        pixels = noise(count, kind)
        path = tmp_path / f"{count}{kind}.jp2"
        path.write_bytes(imagecodecs.jpeg2k_encode(pixels if count > 1 else pixels[..., 0], level=0, reversible=True))
        read = read_bands(path, described(count, kind))
        assert np.array_equal(read, imagecodecs.jpeg2k_decode(path.read_bytes()).reshape(pixels.shape))
        assert np.array_equal(read, pixels)


def test_avif_of_12_bits(tmp_path: Path) -> None:
    pixels = noise(3, "uint16") >> 4
    path = tmp_path / "x.avif"
    path.write_bytes(imagecodecs.avif_encode(pixels, bitspersample=12, level=100))
    read = read_bands(path, described(3, "uint16"))
    assert np.array_equal(read, imagecodecs.avif_decode(path.read_bytes()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    grey = noise(1, "uint16")[..., 0]
    image = Image.fromarray(grey)
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    tifffile.imwrite(tmp_path / "x.tif", grey, extratags=[(274, "H", 1, orientation, True)])
    turned = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
              6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90}[orientation]  # fmt: skip
    for name in ("x.png", "x.tif"):
        read = read_bands(tmp_path / name, described(1, "uint16"))
        assert np.array_equal(read[..., 0], turned(grey))
        assert (holding(tmp_path / name).height, holding(tmp_path / name).width) == turned(grey).shape


def test_arrays_of_numpy(tmp_path: Path) -> None:
    pixels = noise(4, "float32")
    path = tmp_path / "x.npy"
    for stored in (pixels, np.moveaxis(pixels, -1, 0), np.asfortranarray(pixels), pixels.astype(">f4")):
        np.save(path, stored)
        assert np.array_equal(read_bands(path, described(4, "float32")), pixels)
        assert np.array_equal(decode_bands(path.read_bytes(), "x.npy", described(4, "float32")), pixels)
    np.save(path, pixels[..., 0])
    assert np.array_equal(read_bands(path, described(1, "float32")), pixels[..., :1])
    np.save(path, noise(4, "float32", (4, 50)))
    with pytest.raises(UnreadImageError, match="can be read both ways"):
        read_bands(path, described(4, "float32"))
    np.save(path, np.zeros((3, 3), object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        read_bands(path, described(1, "float32"))
    np.save(path, np.float32(1))
    with pytest.raises(UserError, match=r"array of shape \(\)"):
        read_bands(path, described(1, "float32"))
    path.write_bytes(path.read_bytes().replace(b"()", b"(("))
    with pytest.raises(UserError, match=r"x.npy: not readable as a NumPy array \(its header can't be parsed\)"):
        read_bands(path, described(1, "float32"))
    np.save(path, np.zeros((2, 3, 4, 5), np.float32))
    with pytest.raises(UnreadImageError, match=r"an array of shape \(2, 3, 4, 5\): an image is"):
        read_bands(path, described(4, "float32"))
    np.save(path, pixels)
    path.write_bytes(path.read_bytes()[:-1])
    for refused in (read_bands, band_windows):
        with pytest.raises(
            UserError, match=r"31375 bytes of pixels, where its header states 31376\): is it whole"
        ) as caught:
            refused(path, described(4, "float32"))
        assert "\n" not in str(caught.value)
    np.save(path, noise(3, "uint8"))
    assert np.array_equal(read_bands(path, RGB), noise(3, "uint8"))


WRONG: dict[str, tuple[str, Bands, str]] = {
    "fewer bands": (
        "uint16",
        described(3, "uint16"),
        r"declares 3 bands .*declare `bands: \{names: \[band1, .*band4\]",
    ),
    "more bands": ("uint16", described(5, "uint16"), "declares 5 bands"),
    "fewer bits": ("uint16", described(4, "uint8"), "of uint16.*its values are not converted"),
    "more bits": ("uint8", described(4, "uint16"), "of uint8.*its values are not converted"),
    "another sign": ("uint16", described(4, "int16"), "its values are not converted"),
    "64 bits": (
        "float64",
        described(4, "float32"),
        "of float64.*seglight reads uint8, uint16, int16, float32: save it",
    ),
    "signed bytes": ("int8", described(4, "uint8"), "of int8.*save it as int16"),
    "nothing": ("uint16", RGB, r"or declare `bands: \{names: \[band1, band2, band3, band4\], type: uint16\}` with"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_not_declared_is_refused_in_a_line(case: str, tmp_path: Path) -> None:
    kind, bands, says = WRONG[case]
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(4, kind), planarconfig="contig", photometric="minisblack")
    for read in (lambda: read_bands(path, bands), lambda: decode_bands(path.read_bytes(), str(path), bands)):
        with pytest.raises(UnreadImageError, match=says) as caught:
            read()
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_rgb_without_a_description_is_as_ever(tmp_path: Path) -> None:
    pixels = noise(3, "uint8")
    for name in ("x.png", "x.jpg", "x.tif"):
        Image.fromarray(pixels).save(tmp_path / name)
        assert np.array_equal(read_bands(tmp_path / name, RGB), read_image(tmp_path / name))
    cv2.imwrite(str(tmp_path / "grey.jpg"), pixels[..., 0])
    own = read_bands(tmp_path / "grey.jpg", described(1, "uint8"))
    assert np.array_equal(own[..., 0], read_image(tmp_path / "grey.jpg")[..., 0])


def test_bits_below_eight_fill_a_byte(tmp_path: Path) -> None:
    bits = noise(1, "uint8")[..., 0] > 99
    tifffile.imwrite(tmp_path / "x.tif", bits, photometric="minisblack")
    Image.fromarray(bits).save(tmp_path / "x.png")
    for name in ("x.tif", "x.png"):
        assert np.array_equal(read_bands(tmp_path / name, described(1, "uint8"))[..., 0], bits * np.uint8(255))


def test_palettes_are_colours(tmp_path: Path) -> None:
    image = Image.fromarray(noise(3, "uint8")).quantize(9)
    for name in ("x.png", "x.tif", "x.bmp"):
        image.save(tmp_path / name)
        read = read_bands(tmp_path / name, described(3, "uint8"))
        assert np.array_equal(read, np.asarray(image.convert("RGB")))
        with pytest.raises(UnreadImageError, match="colours of a palette"):
            read_bands(tmp_path / name, described(1, "uint8"))


def test_sparse_parts_have_no_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "sparse.tif"
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 2, "dtype": "int16", "nodata": -7, "tiled": True,
               "blockxsize": 16, "blockysize": 16, "SPARSE_OK": True, "crs": "EPSG:32632",
               "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5e6)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.full((2, 16, 16), 9, np.int16), window=((16, 32), (16, 32)))
    with rasterio.open(path) as raster:
        right = np.moveaxis(raster.read(), 0, -1)
    assert holding(path).nodata == -7
    assert np.array_equal(read_bands(path, described(2, "int16")), right)
    assert right.min() == -7


@pytest.mark.parametrize(
    ("kind", "stated", "declared"),
    [
        ("uint16", "-9999", ""),  # no pixel can be
        ("uint16", "nan", ""),
        ("int16", "-9999", ", nodata: -9999"),
        ("float32", "nan", ", nodata: nan"),
        ("float32", "-3.4028234663852886e+38", f", nodata: {np.finfo(np.float32).min!s}"),
    ],
)
def test_the_declaration_has_all_digits_of_the_value_without_data(
    kind: str, stated: str, declared: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(1, kind)[..., 0], extratags=[(42113, "s", 0, stated, True)])
    assert holding(path).declaration() == f"bands: {{names: [band1], type: {kind}{declared}}}"
    if declared:
        bands = described(1, kind, nodata=float(declared.removeprefix(", nodata: ")))
        assert bands.invalid(np.full((1, 1, 1), float(stated), kind)).all()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((1000, 1000), np.uint16), compression="zlib", rowsperstrip=1000)
    data = path.read_bytes().replace((1000).to_bytes(2, "little"), (10).to_bytes(2, "little"))
    with pytest.raises(UserError, match="decoded to more than its pixels"):
        decode_bands(data, "x.tif", described(1, "uint16"))
