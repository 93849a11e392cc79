"""Videos: their frames, and overlays of them as a video of the same rate."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.system.atomic import atomic_path
from seglight.system.environment import environment_default

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

CODEC = cv2.VideoWriter.fourcc(*"mp4v")

SHARE = 0.9
"""A video that gives fewer of the frames that its header counts is cut off; some headers count by their duration."""

QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"
"""Environment variable that OpenCV reads at each opening: complaints of FFmpeg are reported once, as an error."""


def frame_count(path: Path) -> int:
    """What the header says: for some containers it is an estimate.

    Raises:
        UserError: The file is no video.
    """
    with _opened(path) as video:
        return max(1, round(video.get(cv2.CAP_PROP_FRAME_COUNT)))


def frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Every frame as uint8 (H, W, 3) RGB, turned upright as players do.

    Raises:
        UserError: The file is no video, or cut off.
    """
    with _opened(path) as video:
        expected, count = video.get(cv2.CAP_PROP_FRAME_COUNT), 0
        while True:
            there, frame = video.read()
            if not there:
                break
            count += 1
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
    if count < max(1, SHARE * expected):
        raise UserError(f"{path}: ends after {count} of {expected:.0f} frames: it is cut off or damaged")


@contextmanager
def video_writer(path: Path, like: Path) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Write frames uint8 (H, W, 3) RGB of one size to an MPEG-4 file, as many a second as another video has.

    Of an odd height or width the last row or column is left out: two pixels share a colour there.

    Raises:
        UserError: The other is no video, or the frames cannot be encoded, or not all be written.
    """
    with _opened(like) as video:
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    writer, written = cv2.VideoWriter(), 0

    def write(frame: NDArray[np.uint8]) -> None:
        nonlocal written
        with environment_default(*QUIET):
            opened = writer.isOpened() or writer.open(_name(part), CODEC, rate, frame.shape[1::-1])
        if not opened:
            raise UserError(f"{path}: a video of {frame.shape[1]} x {frame.shape[0]} pixels cannot be encoded here")
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        written += 1

    with atomic_path(path) as part:
        try:
            yield write
        finally:
            writer.release()
        if frame_count(part) != max(1, written):  # OpenCV does not say where the disk is full
            raise UserError(f"{path}: not all of its {written} frames could be written: make room")


def _name(path: Path) -> str:
    # whole paths: FFmpeg takes what stands before a colon for a protocol
    name = str(path.resolve())
    try:
        name.encode()
    except UnicodeEncodeError as error:  # which crashes OpenCV
        raise UserError(f"{path}: a video's path must be UTF-8: rename it") from error
    return name


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    with environment_default(*QUIET):
        video = cv2.VideoCapture(_name(path), cv2.CAP_FFMPEG)
    try:
        if not video.isOpened():
            raise UserError(f"{path}: not readable as a video: it is damaged, or of a kind that is not known here")
        yield video
    finally:
        video.release()
