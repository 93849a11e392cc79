"""Names of splits in folders, files and attributes."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from seglight.data.layouts.layout import WITHOUT_SPLIT

NAMES = {
    "train": ("train", "training", "trainset", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev", "valset"),
    "test": ("test", "testing", "testset", "tst"),
}
"""Words for each split, in lower case."""

SPLIT_OF_WORD = {word: split for split, words in NAMES.items() for word in words}


def split_of(name: str) -> str | None:
    """Split that a name stands for, such as "Training" or "train-00000-of-00002"; None: for none.

    Args:
        name: Name of a folder, file without suffix, or subset. Its first or last word may be that of a split.
    """
    words = re.split(r"[^a-z]+", re.sub(r"(19|20)\d\d", "", name.lower()))
    words = [word for word in words if word]
    found = [SPLIT_OF_WORD[word] for word in (*words[:1], *words[-1:]) if word in SPLIT_OF_WORD]
    return found[0] if found else None


def by_split(images: Iterable[tuple[str | None, Path]]) -> tuple[dict[str, list[Path]], list[str]]:
    """Sort images by their split.

    Images without a split among others that have one belong to the training images, which a remark says.

    Args:
        images: Pairs of a split, or None, and an image.

    Returns:
        Images by split, only `WITHOUT_SPLIT` if none has one; and remarks.
    """
    pairs = list(images)
    numbers = Counter(split for split, _ in pairs)
    if set(numbers) <= {None}:
        return {WITHOUT_SPLIT: [image for _, image in pairs]}, []
    splits = {
        name: [image for split, image in pairs if (split or "train") == name]
        for name in ("train", "val", "test")
        if numbers[name] or (name == "train" and numbers[None])
    }
    remark = f"Images without a split among others that have one: {numbers[None]}; they are training images."
    return splits, [remark] if numbers[None] else []
