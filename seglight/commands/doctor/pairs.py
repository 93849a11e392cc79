"""Images and label files without a partner, or with a partner of another name."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

from seglight.commands.doctor.facts import Pair
from seglight.commands.doctor.finding import Case, Finding
from seglight.commands.doctor.rules import RULES
from seglight.data.pairs import IMAGE_SUFFIXES, FilePairs

WORDS = "(?:masks?|labels?|gt|groundtruth|seg|segmentation|annotations?|annot|target|images?|img|rgb|l)"
"""Words that are commonly added to the name of a mask or an image; CamVid's own masks end in _L."""

ADDED = re.compile(rf"^{WORDS}[ ._-]+|[ ._-]+{WORDS}$")


def find_pairs(name: str, listing: FilePairs) -> tuple[list[Pair], list[Finding]]:
    """The pairs of a split under the actual names of their files, and findings about the names."""
    taken = {*listing.images, *listing.masks}
    search = _search(taken)
    pairs, cases = [], {slug: list[Case]() for slug in ("missing-image", "missing-mask", "misnamed-file")}
    renamed: set[Path] = set()
    for wanted in zip(listing.images, listing.masks, strict=True):
        found = []
        for slug, path, partner in zip(("missing-image", "missing-mask"), wanted, reversed(wanted), strict=True):
            other = None if path.is_file() else search(path)
            if other is not None:
                cases["misnamed-file"].append(Case(str(other), f"{path.name} is expected"))
                renamed.add(other)
            elif not path.is_file():
                cases[slug].append(Case(str(path), f"for {partner}"))
            found.append(other or path)
        pairs.append(Pair(str(found[0]), str(found[1]), str(wanted[0]), str(wanted[1])))
    cases["surplus-mask"] = [Case(str(path)) for path in listing.surplus if path not in renamed]
    twice = [path for path, number in Counter(listing.images).items() if number > 1]
    cases["listed-twice"] = [Case(str(path)) for path in twice]
    return pairs, [Finding(RULES[slug], name, found) for slug, found in cases.items() if found]


def _search(taken: set[Path]) -> Callable[[Path], Path | None]:
    """Function that finds the file in a missing file's folder whose name differs only by common additions."""

    @cache
    def free(folder: Path) -> dict[str, list[Path]]:
        files: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in IMAGE_SUFFIXES and path not in taken:
                files.setdefault(plain(path.stem), []).append(path)
        return files

    def find(path: Path) -> Path | None:
        found = free(path.parent).get(plain(path.stem), [])
        return found[0] if len(found) == 1 else None

    return find


def plain(stem: str) -> str:
    """A name in lower case without common additions."""
    stem = stem.casefold()
    while (shorter := ADDED.sub("", stem)) not in ("", stem):
        stem = shorter
    return stem
