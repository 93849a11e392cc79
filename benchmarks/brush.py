"""Brush strokes of Label Studio, packed and read: a label map, a disc and noise of a megapixel, against its kit.

The peers are `mask2rle` and `decode_rle` of label-studio-sdk, whose bytes and pixels have to be equal. It needs other
versions of some packages, so it may lie in an environment of its own: one file of the folder `--sdk` is loaded. A step
is 20 calls in a row, since a single one takes a tenth of a millisecond; of noise, it is one call.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._street import scene
from benchmarks._table import Row, measure, parser_of
from seglight.images.brush import brush_pixels, encode_brush

MASKS = ("label map", "disc", "noise")

CALLS = {"label map": 20, "disc": 20, "noise": 1}
"""Calls of a step."""


def drawn(name: str, side: int) -> NDArray[np.bool_]:
    """Return a mask: one of 11 classes of a drawn street scene, a disc, or pixels by chance."""
    mask: NDArray[np.bool_]
    if name == "noise":
        mask = np.random.default_rng(0).random((side, side)) < 0.5
    elif name == "disc":
        squares = (np.arange(side) - side / 2) ** 2
        mask = np.add.outer(squares, squares) < (0.4 * side) ** 2
    else:
        labels = scene(0, side, side, 11, 0.0)[1]
        mask = labels == labels[side // 2, side // 2]
    return mask


@cache
def sdk(folder: Path) -> Any:
    """Load the file of the encoder and decoder."""
    spec = spec_from_file_location("peer", folder / "label_studio_sdk/converter/brush.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def repeated(name: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a step of some calls; its result is that of the last one."""
    return lambda: [call() for _ in range(CALLS[name])][-1]


def packing(name: str, side: int, folder: Path) -> Callable[[], Any]:
    """Return our encoder's step."""
    mask = drawn(name, side)
    return repeated(name, lambda: encode_brush(mask))


def packing_peer(name: str, side: int, folder: Path) -> Callable[[], Any]:
    """Return the peer's, from pixels of 0 and 255."""
    mask, peer = np.where(drawn(name, side), 255, 0).astype(np.uint8), sdk(folder)
    return repeated(name, lambda: peer.mask2rle(mask))


def reading(name: str, side: int, folder: Path) -> Callable[[], Any]:
    """Return our decoder's step."""
    data = encode_brush(drawn(name, side))
    return repeated(name, lambda: brush_pixels(data, side, side))


def reading_peer(name: str, side: int, folder: Path) -> Callable[[], Any]:
    """Return the peer's, to values of the last band."""
    data, peer = list(encode_brush(drawn(name, side))), sdk(folder)
    return repeated(name, lambda: peer.decode_rle(data).reshape(side, side, 4)[..., 3])


def same_bytes(ours: bytes, peer: tuple[int, ...]) -> None:
    """Compare the bytes."""
    assert ours == bytes(peer)


def same_pixels(ours: NDArray[np.bool_], peer: NDArray[np.uint8]) -> None:
    """Compare the pixels."""
    np.testing.assert_array_equal(ours, peer > 0)


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = parser_of("brush", __doc__)
    parser.set_defaults(threads=(1,))
    parser.add_argument("--sdk", type=Path, required=True, help="folder of packages with label-studio-sdk")
    parser.add_argument("--side", type=int, default=1024, help="height and width of the masks")
    options = parser.parse_args(args)
    rows = {}
    for name in MASKS:
        case = (name, options.side, options.sdk)
        rows[f"{name}, pack"] = Row(packing, packing_peer, case, same_bytes)
        rows[f"{name}, read"] = Row(reading, reading_peer, case, same_pixels)
    measure(rows, options)
