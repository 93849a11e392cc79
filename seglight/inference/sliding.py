"""Overlapping windows, blended row by row of windows: memory does not grow with the height of the image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.images.types import Windows
from seglight.interfaces import Inferer, seg_output
from seglight.ops.blending import Side, band_rows, blended, first_largest, side
from seglight.ops.finite import check_finite
from seglight.ops.padding import pad_image
from seglight.ops.sizes import DIVISOR, round_up


@dataclass(frozen=True)
class SlidingWindow(Inferer):
    """Logits of overlapping windows, their weighted mean taken at the image's resolution.

    Logits are averaged, as in mmsegmentation and MONAI. Rows of the image are finished as soon as no later window
    reaches them: only the logits of overlapping rows of windows are in memory, at the net's own stride. The image is
    padded to a multiple of 32 by its last row and column, and the last windows are moved back to end with it; an image
    no larger than a window is one window.

    Args:
        window: Side of a window in pixels, or its height and its width; multiples of 32.
        overlap: Least fraction of a window that the next one covers, too; windows begin at multiples of 32.
        batch_size: Number of windows in a forward pass.
        blending: Weights of a window's pixels: "gaussian" or "uniform".
        sigma: Standard deviation of the Gaussian as a fraction of the window (1/8: nnU-Net, arXiv 1904.08128).

    Raises:
        UserError: An argument is out of its range.
    """

    window: int | tuple[int, int] = 512
    overlap: float = 0.25
    batch_size: int = 1
    blending: Literal["gaussian", "uniform"] = "gaussian"
    sigma: float = 0.125
    takes_batches = False

    def __post_init__(self) -> None:
        size = (self.window, self.window) if isinstance(self.window, int) else self.window
        if not isinstance(size, tuple | list) or len(size) != 2 or not all(map(_fits, size)):
            raise UserError(
                f"inferer.window is {self.window!r}: it has to be a multiple of {DIVISOR}, or two of them, as integers"
            )
        if not 0 <= self.overlap < 1:
            raise UserError(f"inferer.overlap is {self.overlap:g}: it has to be at least 0 and below 1")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise UserError(f"inferer.batch_size is {self.batch_size!r}: it has to be a whole number of at least 1")
        if self.blending not in ("gaussian", "uniform"):
            raise UserError(f'inferer.blending is {self.blending!r}: it has to be "gaussian" or "uniform"')
        if not self.sigma > 0:
            raise UserError(f"inferer.sigma is {self.sigma:g}: it has to be above 0")

    def labels(self, net: nn.Module, image: Tensor) -> Tensor:
        """Label maps (B, H, W) of images (B, bands, H, W).

        Raises:
            UserError: The net's logits are not finite.
        """
        return self._whole(net, image, first_largest)

    def label_bands(self, net: nn.Module, image: Tensor) -> Iterator[Tensor]:
        """As `rows`, of an image (1, bands, H, W) and without the number of their row."""
        return (band for _, band in self._bands(net, image[0], first_largest))

    def probabilities(self, net: nn.Module, image: Tensor) -> Tensor:
        """Float32 (B, C, H, W) of images (B, bands, H, W): the softmax of the mean of the logits."""
        return self._whole(net, image, _softmax)

    def tempered_probabilities(self, net: nn.Module, image: Tensor, temperature: float) -> Tensor:
        """As `probabilities`, of the mean of the logits divided by a temperature."""
        return self._whole(net, image, lambda values: _softmax(values.div_(temperature)))

    def rows(self, net: nn.Module, image: Tensor | Windows) -> Iterator[tuple[int, Tensor]]:
        """Labels of an image from top to bottom, as they are finished.

        Args:
            net: Net that takes images (B, bands, H, W).
            image: (bands, H, W), or an image that is read by windows, in order of its rows.

        Yields:
            Row of the image, and the labels (rows, W) from there on.
        """
        return self._bands(net, image, first_largest)

    def _whole(self, net: nn.Module, image: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        found: Tensor | None = None
        for number, one in enumerate(image):
            for top, band in self._bands(net, one, reduce):
                if found is None:
                    found = band.new_empty((len(image), *band.shape[:-2], *image.shape[-2:]))
                found[number, ..., top : top + band.shape[-2], :] = band
        assert found is not None
        return found

    @torch.no_grad()
    def _bands(
        self, net: nn.Module, image: Tensor | Windows, reduce: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[int, Tensor]]:
        """A row of the image, and what `reduce` makes of the logits from there on: (..., rows, W)."""
        height, width = image.shape[1:] if isinstance(image, Tensor) else image.shape[:2]
        device = _device(net, image)
        down, across = (one._replace(weights=one.weights.to(device)) for one in self.sides((height, width)))
        held: dict[int, Tensor] = {}
        for place, top in enumerate(down.starts):
            held[place] = self._logits(net, _strip(image, slice(top, top + down.window), device), across)
            done = min([*down.starts[place + 1 : place + 2], height])
            rows = band_rows(down, held[place].shape[2])
            for first in range(top, done, rows):
                last = min(first + rows, done)
                with torch.autocast(device.type, enabled=False):
                    band = blended(held, (first, last), down, across, reduce)
                yield first, band[..., :width]
            held = {row: logits for row, logits in held.items() if down.ends[row] > done}

    def sides(self, size: tuple[int, int]) -> tuple[Side, Side]:
        """The windows along the height and the width of an image of a size (H, W)."""
        windows = []
        for length, wanted in zip(size, self._size(), strict=True):
            padded = round_up(length, DIVISOR)
            window = min(wanted, padded)
            step = max(DIVISOR, round(window * (1 - self.overlap)) // DIVISOR * DIVISOR)
            windows.append(side(padded, window, step, self.sigma if self.blending == "gaussian" else None))
        return windows[0], windows[1]

    def _size(self) -> tuple[int, int]:
        return (self.window, self.window) if isinstance(self.window, int) else self.window

    def _logits(self, net: nn.Module, strip: Tensor, across: Side) -> Tensor:
        """Float32 (windows, C, h, w) of the windows in a strip (bands, rows, W)."""
        held: Tensor | None = None
        for first in range(0, len(across.starts), self.batch_size):
            starts = across.starts[first : first + self.batch_size]
            batch = torch.stack([strip[..., start : start + across.window] for start in starts])
            logits = seg_output(net(batch)).logits
            if held is None:  # not gathered and concatenated, which would need twice the memory
                held = torch.empty((len(across.starts), *logits.shape[1:]), device=logits.device)
            held[first : first + len(starts)] = logits
        assert held is not None
        check_finite(held)
        return held


def _fits(pixels: object) -> bool:
    return isinstance(pixels, int) and pixels >= DIVISOR and pixels % DIVISOR == 0


def _device(net: nn.Module, image: Tensor | Windows) -> torch.device:
    if isinstance(image, Tensor):
        return image.device
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def _strip(image: Tensor | Windows, rows: slice, device: torch.device) -> Tensor:
    """Rows of an image, padded: (bands, rows, W)."""
    if isinstance(image, Tensor):
        strip = image[:, rows]
    else:
        height, width = image.shape[:2]
        pixels = image.read(slice(rows.start, min(rows.stop, height)), slice(0, width))
        # contiguous: only the weights decide in which memory format a net runs, not the file that an image is read from
        strip = torch.tensor(pixels.transpose(2, 0, 1), device=device).contiguous()
    return pad_image(strip.unsqueeze(0), DIVISOR).squeeze(0)


def _softmax(values: Tensor) -> Tensor:
    return values.softmax(0)
