"""How the names of images and of their masks differ: what stands before and behind the text that they share."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

DUBIOUS = re.compile(r"colou?r|instance|object|panoptic|overlay|vis|human")
"""Names of folders, and additions to names of files, beside the masks of classes."""

SAMPLE, LOOKED_AT = 40, 4000
"""Number of images whose names are compared with those of masks, and number of the masks."""

Affixes = tuple[str, str, str, str]
"""Text before and behind the stem in the name of an image, and in that of a mask."""


def affixes(images: Sequence[str], masks: Sequence[str]) -> Affixes | None:
    """How the names of images and masks in two folders differ; None if they have nothing in common."""
    known = set(masks)
    if sum(image in known for image in images) == len(images):
        return ("", "", "", "")
    candidates = Counter[Affixes]({("", "", "", ""): 1})
    for image in sampled(images):
        candidates.update(contained(image, masks[:LOOKED_AT]))
    candidates[_common(images, masks)] += 1
    candidates.update(_tails(images, masks))
    return best_affixes(candidates, images, known)


def sampled(images: Sequence[str]) -> Sequence[str]:
    """Some of the first images, whose masks are among the first ones too."""
    first = images[: LOOKED_AT // 2]
    return first[:: max(1, len(first) // SAMPLE)][:SAMPLE]


def contained(image: str, masks: Sequence[str]) -> Iterator[Affixes]:
    """Additions by which one name contains the other, next to which no number is cut."""
    for mask in masks:
        long, short = (mask, image) if len(mask) > len(image) else (image, mask)
        at = long.find(short) if long != short else -1
        if at < 0:
            continue
        before, behind = long[:at], long[at + len(short) :]
        if (before[-1:].isdigit() and short[0].isdigit()) or (behind[:1].isdigit() and short[-1].isdigit()):
            continue
        yield ("", "", before, behind) if long == mask else (before, behind, "", "")


def _common(images: Sequence[str], masks: Sequence[str]) -> Affixes:
    """What all names of images have in common, and all names of masks, without numbers at its end."""
    found = []
    for stems in (images, masks):
        low, high = (min(stems), max(stems)) if stems else ("", "")
        before = _shared(low, high)
        backwards = [stem[::-1] for stem in stems] or [""]
        behind = _shared(min(backwards), max(backwards))[::-1]
        found += [re.sub(r"\d+$", "", before), re.sub(r"^\d+", "", behind)]
    return (found[0], found[1], found[2], found[3])


def _tails(images: Sequence[str], masks: Sequence[str]) -> Iterator[Affixes]:
    """The most frequent last words of the names."""
    words = [
        Counter(match[0] for stem in stems if (match := re.search(r"[._-][A-Za-z]\w*$", stem)))
        for stems in (images, masks)
    ]
    tails = [[word for word, _ in counted.most_common(4)] or [""] for counted in words]
    yield from (("", tails[0][0], "", tail) for tail in tails[1])


def _shared(low: str, high: str) -> str:
    number = next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:number]


def best_affixes(candidates: Counter[Affixes], images: Sequence[str], masks: set[str]) -> Affixes | None:
    """The additions that give the most images a mask: a quarter of all images, or of all masks, at least."""
    scores: dict[Affixes, int] = {}
    for affixes, _ in candidates.most_common(12):
        before, behind, mask_before, mask_behind = affixes
        cores = [
            image[len(before) : len(image) - len(behind)]
            for image in images
            if len(image) > len(before) + len(behind) and image.startswith(before) and image.endswith(behind)
        ]
        scores[affixes] = sum(f"{mask_before}{core}{mask_behind}" in masks for core in cores)
    if not scores:
        return None
    best = max(scores, key=lambda a: (scores[a], not DUBIOUS.search("".join(a).casefold()), -sum(map(len, a))))
    return best if scores[best] and 4 * scores[best] >= min(len(images), len(masks)) else None
