"""Places that two splits share: their score would include training pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seglight.data.scenes.blocks import TOLERANCE, Ground
from seglight.errors import UserError
from seglight.images.placement import Placement

Bounds = tuple[float, float, float, float]
"""Left, bottom, right and top."""


class Meeting(NamedTuple):
    """Two scenes that overlap or touch.

    Args:
        first: Name of the first.
        second: Name of the second.
        pixels: Number of pixels of the second that the first one shows; 0 if they touch, or are a few pixels apart.
    """

    first: str
    second: str
    pixels: int


@dataclass(frozen=True)
class _Placed:
    ground: Ground
    place: Placement

    def bounds(self) -> Bounds:
        height, width = self.ground.size[:2]
        place = self.place
        return place.left, place.top - height * place.height, place.left + width * place.width, place.top


def meetings(first: Sequence[Ground], second: Sequence[Ground], near: int) -> list[Meeting]:
    """Pairs of scenes of two splits that overlap or touch on the ground.

    Scenes of other coordinate reference systems are compared where rasterio is installed, those without a georeference
    only by their names.

    Args:
        first: Scenes of the first split.
        second: Scenes of the second split.
        near: Distance in pixels of the second up to which they touch.
    """
    found = [Meeting(a.name, b.name, b.size[0] * b.size[1]) for a in first for b in second if a.name == b.name]
    for a in _placed(first):
        for b in _placed(second):
            if a.ground.name == b.ground.name:
                continue
            theirs = _bounds_in(a, b.place.crs)
            meeting = None if theirs is None else _meeting(a, theirs, b, near)
            found += [] if meeting is None else [meeting]
    return found


def check_places(train: Sequence[Ground], val: Sequence[Ground]) -> None:
    """Check that no scene of the validation shows a place of the training.

    Raises:
        UserError: One does.
    """
    shared = [meeting for meeting in meetings(train, val, 0) if meeting.pixels]
    if shared:
        first, second, pixels = shared[0]
        more = f" (and {len(shared) - 1} more pairs do)" if len(shared) > 1 else ""
        raise UserError(
            f"{second}: {pixels} of its pixels show a place of the training scene {first}{more}: the score would "
            "include training pixels: put both into one split, or divide all scenes by data.blocks"
        )


def check_one_grid(scenes: Sequence[Ground]) -> None:
    """Check that no scenes of different coordinate reference systems overlap: blocks are squares of one of them.

    Raises:
        UserError: Some do.
    """
    systems = list(dict.fromkeys(one.place.crs for one in _placed(scenes)))
    for number, crs in enumerate(systems):
        ours, theirs = (
            [
                one.ground
                for one in _placed(scenes)
                if (one.place.crs == crs) == same and one.place.crs in systems[number:]
            ]
            for same in (True, False)
        )
        shared = [meeting for meeting in meetings(ours, theirs, 0) if meeting.pixels]
        if shared:
            raise UserError(
                f"{shared[0].first} and {shared[0].second} show the same place in different coordinate reference "
                "systems, and blocks are squares of one of them: bring them to one with `gdalwarp -t_srs`"
            )


def _placed(scenes: Sequence[Ground]) -> Iterator[_Placed]:
    yield from (_Placed(scene, scene.placement) for scene in scenes if scene.placement is not None)


def _bounds_in(scene: _Placed, crs: str) -> Bounds | None:
    """Bounds of a scene in another coordinate reference system; None if they are not known."""
    if scene.place.crs == crs:
        return scene.bounds()
    if not (scene.place.crs and crs):
        return None
    try:
        from rasterio.errors import RasterioError
        from rasterio.warp import transform_bounds
    except ImportError:
        return None
    try:
        left, bottom, right, top = transform_bounds(scene.place.crs, crs, *scene.bounds())
    except RasterioError:
        return None
    return left, bottom, right, top


def _meeting(first: _Placed, theirs: Bounds, second: _Placed, near: int) -> Meeting | None:
    ours = second.bounds()
    across = (min(theirs[2], ours[2]) - max(theirs[0], ours[0])) / second.place.width
    down = (min(theirs[3], ours[3]) - max(theirs[1], ours[1])) / second.place.height
    if min(across, down) > TOLERANCE:
        return Meeting(first.ground.name, second.ground.name, max(1, round(across) * round(down)))
    if near and min(across, down) >= -near:
        return Meeting(first.ground.name, second.ground.name, 0)
    return None
