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
"""Fraction of the frames in the header below which a video counts as cut off; some headers estimate the number."""

QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"
"""Environment variable that OpenCV reads at each opening: complaints of FFmpeg are reported once, as an error."""


def frame_count(path: Path) -> int:
    """Number of frames by the header, which is an estimate for some containers.

    Raises:
        UserError: The file is not a video.
    """
    with _opened(path) as video:
        return max(1, round(video.get(cv2.CAP_PROP_FRAME_COUNT)))


def frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame as uint8 (H, W, 3) RGB, upright as in players.

    Raises:
        UserError: The file is not a video, or cut off.
    """
    with _opened(path) as video:
        expected = video.get(cv2.CAP_PROP_FRAME_COUNT)
        count = 0
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
    """Write frames uint8 (H, W, 3) RGB of one size to an MPEG-4 file, with the frame rate of another video.

    The last row or column of an odd height or width is left out, because two pixels share a colour.

    Args:
        path: Path of the file.
        like: Video whose frame rate is used.

    Raises:
        UserError: The other file is not a video, or the frames can't be encoded or written.
    """
    with _opened(like) as video:
        rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    writer = cv2.VideoWriter()
    written = 0

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
        if frame_count(part) != max(1, written):  # OpenCV reports no error if the disk is full
            raise UserError(f"{path}: not all of its {written} frames could be written: free some space")


def _name(path: Path) -> str:
    # absolute paths: FFmpeg reads the text before a colon as a protocol
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
            raise UserError(f"{path}: not readable as a video: it is damaged, or of an unknown format")
        yield video
    finally:
        video.release()
