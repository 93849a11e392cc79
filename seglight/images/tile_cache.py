"""Decoded tiles that a process keeps, the latest ones."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from numpy.typing import NDArray

CACHE_BYTES = 1 << 27
"""Largest number of bytes of decoded tiles that a process keeps."""


class TileCache:
    """Decoded tiles by key; the one that was not used for the longest time goes first.

    Args:
        most: Largest number of bytes.
    """

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self.most = most
        self.bytes = 0
        self.tiles: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()

    def get(self, key: Hashable) -> NDArray[Any] | None:
        """The tile of a key, or None."""
        tile = self.tiles.get(key)
        if tile is not None:
            self.tiles.move_to_end(key)
        return tile

    def put(self, key: Hashable, tile: NDArray[Any]) -> None:
        """Keep a tile, unless it alone is larger than all that is kept."""
        if tile.nbytes > self.most:
            return
        self.tiles[key] = tile
        self.bytes += tile.nbytes
        while self.bytes > self.most:
            self.bytes -= self.tiles.popitem(last=False)[1].nbytes
