"""Images cut into squares that stand beside each other in a batch, and maps of these put together again."""

from torch import Tensor


def cut(image: Tensor, side: int) -> Tensor:
    """(B, C, n * side, m * side) to (B * n * m, C, side, side), row by row."""
    rows, columns = image.shape[-2] // side, image.shape[-1] // side
    squares = image.unflatten(3, (columns, side)).unflatten(2, (rows, side))
    return squares.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def joined(maps: Tensor, rows: int, columns: int) -> Tensor:
    """(B * rows * columns, C, h, w) to (B, C, rows * h, columns * w)."""
    return maps.unflatten(0, (-1, rows, columns)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
