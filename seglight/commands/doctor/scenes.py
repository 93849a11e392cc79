"""Findings about scenes that are read by window."""

from collections.abc import Mapping, Sequence

from seglight.commands.doctor.facts import PairFacts
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import RULES
from seglight.data.datasets.scenes import ScenesDataModule
from seglight.data.scenes.leaks import meetings
from seglight.data.scenes.windows import window_size

OF_WHOLE_IMAGES = ("all-ignored", "mostly-ignored")
"""Rules that tiles may break: only the whole of a scene has to be labelled."""

NAMES = ("train", "val", "test")


def check_scenes(data: ScenesDataModule, splits: Mapping[str, Sequence[PairFacts]]) -> list[Finding]:
    """Find places that two splits share, and scenes of two splits that touch.

    Args:
        data: Data module.
        splits: Facts about the tiles of each split.
    """
    return [] if data.blocks is not None else _meetings(data, [name for name in NAMES if name in splits])


def _meetings(data: ScenesDataModule, names: Sequence[str]) -> list[Finding]:
    """Scenes of two splits that overlap, or are nearer to each other than a window is large."""
    found = []
    grounds = {name: data.grounds(name) for name in names}
    near = max(window_size(data.windows, data.windows.scale[0], (2**31, 2**31)))
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            pairs = meetings(grounds[first], grounds[second], near)
            for slug, chosen in (
                ("shared-place", [pair for pair in pairs if pair.pixels]),
                ("touching-places", [pair for pair in pairs if not pair.pixels]),
            ):
                cases = [
                    Case(
                        pair.second,
                        f"{pair.pixels} pixels, with {pair.first}" if pair.pixels else f"beside {pair.first}",
                    )
                    for pair in chosen
                ]
                if cases:
                    found.append(Finding(RULES[slug], f"{first}, {second}", cases))
    return found
