"""Finds images that have one file a band by the names of their files, such as `a_B04.tif` and `a_B08.tif`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from seglight.data.layouts.mask_names import Affixes
from seglight.errors import UserError
from seglight.images.read_bands import holding

OF_A_BAND = re.compile(
    r"[bc]\d{1,2}a?|band\d+|ch(annel)?\d+|w\d+|red|green|blue|nir\d?|swir\d*|mwir\d*|lwir\d*|tir\d*|vnir|pan|cirrus|"
    r"coastal|rededge\d*|re\d*|thermal|vv|vh|hh|hv|dapi|fitc|tritc|cy\d|gfp|rfp|yfp|cfp|mcherry|hoechst|bf",
    re.IGNORECASE,
)
"""What a band is called in the name of a file."""

WORD = r"[A-Za-z]+"


@dataclass(frozen=True)
class BandFiles:
    """How the files of an image that has one file a band are named.

    Args:
        names: Names of the bands, in the order of the numbers in them.
        files: Pattern of the files, such as "{name}_{band}.tif".
        mask: Text before and behind the name of an image in that of its mask.
    """

    names: tuple[str, ...]
    files: str
    mask: tuple[str, str] = ("", "")

    @property
    def affixes(self) -> Affixes:
        """How the names of the files of the first band and of masks differ."""
        return ("", Path(self._ends[0]).stem, *self.mask)

    @property
    def _ends(self) -> list[str]:
        return [self.files.removeprefix("{name}").replace("{band}", name) for name in self.names]

    def is_another(self, path: Path) -> bool:
        """Whether a file is that of another band than the first."""
        return path.name.endswith(tuple(self._ends[1:]))


def find_band_files(images: Sequence[Path], masks: Sequence[Path]) -> BandFiles | None:
    """Bands that have files of their own; None: the files are whole images.

    Args:
        images: Files of images.
        masks: Label files, whose names are those of the images with an addition at most.
    """
    stems = [path.stem for path in masks]
    best: dict[str, dict[str, Path]] = {}
    mask = ("", "")
    for before, behind in product(_additions(stems, rf"^{WORD}[._ -]"), _additions(stems, rf"[._ -]{WORD}$")):
        cores = {stem.removeprefix(before).removesuffix(behind) for stem in stems}
        found = _by_image(images, cores)
        if len(found) > len(best):
            best, mask = found, (before, behind)
    if not best or 2 * len(best) < len({*stems}):
        return None
    number = Counter(ending for files in best.values() for ending in files)
    usual = [ending for ending, count in number.items() if 2 * count > len(best)]
    suffix = Counter(Path(ending).suffix for ending in usual).most_common(1)
    chosen = sorted((ending for ending in usual if Path(ending).suffix == suffix[0][0]), key=_natural) if suffix else []
    files = next((files for files in best.values() if {*chosen} <= files.keys()), None)
    return None if files is None or len(chosen) < 2 else _bands(chosen, files, mask)


def _additions(stems: Sequence[str], pattern: str) -> list[str]:
    """The most frequent words at an end of names, such as "_mask", and none."""
    words = Counter(match[0] for stem in stems if (match := re.search(pattern, stem)))
    return ["", *(word for word, _ in words.most_common(2))]


def _by_image(images: Sequence[Path], cores: set[str]) -> dict[str, dict[str, Path]]:
    """Files of each image, by what follows its name in theirs."""
    found = defaultdict[str, dict[str, Path]](dict)
    for path in images:
        core = next((core for core in _beginnings(path.stem) if core in cores), None)
        if core is not None:
            found[core][path.name[len(core) :]] = path
    return found


def _beginnings(stem: str) -> Iterator[str]:
    """Parts of a stem up to each separator, the longest first."""
    for match in reversed([*re.finditer(r"[._ -]", stem)]):
        yield stem[: match.start()]


def _bands(endings: Sequence[str], files: Mapping[str, Path], mask: tuple[str, str]) -> BandFiles | None:
    """The bands of endings such as "_B04_10m.jp2", which differ in one word; pictures of several bands are left out."""
    try:
        held = {ending: holding(files[ending]) for ending in endings}
    except UserError:
        return None
    single = [ending for ending in endings if held[ending].bands * held[ending].pages == 1]
    parts = [re.split(r"([._ -])", ending) for ending in single]
    if len(single) < 2 or len({len(part) for part in parts}) > 1:
        return None
    differing = [place for place, words in enumerate(zip(*parts, strict=True)) if len({*words}) > 1]
    if len(differing) != 1:
        return None
    place = differing[0]
    names = tuple(part[place] for part in parts)
    pictures = any(one.type == "uint8" for one in held.values())
    if pictures and not all(OF_A_BAND.fullmatch(name) for name in names):
        return None  # such as a_left.png and a_right.png
    return BandFiles(names, "".join(["{name}", *parts[0][:place], "{band}", *parts[0][place + 1 :]]), mask)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts B2 before B10."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", text)]
