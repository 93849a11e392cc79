"""OpenCV's own threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Let OpenCV work in the calling thread within the block, with the same results.

    Where samples are decoded, the processes of a loader or of a launcher are the parallelism: a pool of OpenCV's
    threads in each of them would compete for the same cores. Outside of the block the process keeps its setting.
    """
    threads = cv2.getNumThreads()
    if threads <= 1:
        yield
        return
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
