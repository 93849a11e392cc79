"""Division of the inputs into shards."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise


def split(counts: Sequence[int], parts: int, batch: int) -> list[range]:
    """Divide inputs, in their order, into at most `parts` ranges of about the same number of images.

    A range begins where a batch does: the batches are those of a single process. A video or TIFF is not divided.

    Args:
        counts: Number of images in each input.
        parts: Number of ranges at most.
        batch: Number of images that are passed to the net together.
    """
    ends = list(accumulate(counts))
    cuts = [place for place, end in enumerate(ends, 1) if end % batch == 0]
    images = [ends[cut - 1] for cut in cuts]  # before each of the cuts
    chosen = {0, len(counts)}
    for part in range(1, parts):
        target = part * ends[-1] / parts
        after = bisect_left(images, target)
        around = range(max(0, after - 1), min(after + 1, len(cuts)))
        chosen |= {cuts[min(around, key=lambda index: abs(images[index] - target))]} if around else set()
    return [range(start, stop) for start, stop in pairwise(sorted(chosen))]
