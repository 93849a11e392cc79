"""Images cut into squares that form a batch, and maps of the squares joined again."""

from torch import Tensor


def cut(image: Tensor, side: int) -> Tensor:
    """Cut (B, C, n * side, m * side) into (B * n * m, C, side, side), row by row."""
    batch, channels, height, width = image.shape
    squares = image.reshape(batch, channels, height // side, side, width // side, side)
    return squares.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def joined(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Join (B * rows * columns, C, h, w) to (B, C, rows * h, columns * w)."""
    squares = maps.reshape(-1, rows, columns, *maps.shape[1:])
    return squares.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
