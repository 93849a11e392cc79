"""A repaired copy of a data set; the data set itself is only read."""

import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from seglight.commands.doctor.facts import LabelTable, PairFacts
from seglight.commands.doctor.finding import Finding, Fixed
from seglight.commands.doctor.repair import IMAGE_SLUGS, repaired_image, repaired_mask
from seglight.commands.doctor.scan import Survey
from seglight.errors import UserError
from seglight.images.exif import drop_xmp
from seglight.images.image_header import opened_by_name
from seglight.system.atomic import atomic_folder


def check_target(root: Path, target: Path) -> None:
    """Check that a copy of the data set can be written to a folder, before anything else takes time.

    Args:
        root: Folder of the data set.
        target: Folder of the copy.

    Raises:
        UserError: The target is not empty, or one of the folders contains the other.
    """
    ours, theirs = root.resolve(), target.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise UserError(
            f"--fix {target}: it overlaps the data set {root}, which is never written to: choose another folder"
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--fix {target}: the folder is not empty: choose a new one")


def fix(survey: Survey, findings: Sequence[Finding], root: Path, target: Path) -> Fixed:
    """Copy a data set and repair what can be repaired without doubt.

    Args:
        survey: Facts about the files.
        findings: Findings about the files.
        root: Folder of the data set.
        target: Folder of the copy.

    Raises:
        UserError: See `check_target`, or the copy can't be written.
    """
    check_target(root, target)
    fixed = Fixed()
    slugs: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        for case in finding.cases:
            slugs[case.file].add(finding.rule.slug)
    try:
        with atomic_folder(target) as part:
            shutil.copytree(root, part, ignore_dangling_symlinks=True, dirs_exist_ok=True)
            for name, facts in survey.splits.items():
                for one in facts:
                    _fix_pair(one, survey.tables[name], slugs, root, part, fixed)
    except OSError as error:  # no space, no permission, what can't be copied
        raise UserError(f"--fix {target}: the copy can't be written: {error}") from error
    done = {*fixed.repaired}
    mistakes = (finding for finding in findings if finding.rule.level == "mistake")
    wrong = {(case.file, finding.rule.slug): None for finding in mistakes for case in finding.cases}
    fixed.left = [case for case in wrong if case not in done]
    return fixed


def _fix_pair(
    one: PairFacts, table: LabelTable, slugs: dict[str, set[str]], root: Path, part: Path, fixed: Fixed
) -> None:
    pair = one.pair
    if not all(Path(path).is_relative_to(root) for path in (pair.image, pair.mask)):
        return
    image_slugs = slugs[pair.image] & IMAGE_SLUGS
    image = repaired_image(pair.image, image_slugs) if image_slugs else None
    _put(image, pair.image, pair.wanted_image, root, part)
    mask = None
    mask_slug = ""
    for slug in slugs[pair.mask] if Path(pair.mask).suffix.lower() != ".gif" else ():  # Pillow renumbers its values
        values = repaired_mask(one.mask, slug, table)
        if values is not None:
            deep = values.max() > 255
            mask = Image.fromarray(values.astype(np.uint16 if deep else np.uint8))
            mask_slug = slug
    _put(mask, pair.mask, pair.wanted_mask, root, part)
    fixed.repaired += [(pair.image, slug) for slug in sorted(image_slugs)]
    fixed.repaired += [(pair.mask, mask_slug)] if mask else []
    for found, wanted in ((pair.image, pair.wanted_image), (pair.mask, pair.wanted_mask)):
        if found != wanted:
            fixed.repaired.append((found, "misnamed-file"))


def _put(image: Image.Image | None, found: str, wanted: str, root: Path, part: Path) -> None:
    """Write an image, or if there is none the file that was found, under the expected name."""
    here, there = (part / Path(path).relative_to(root) for path in (found, wanted))
    if not here.exists() or (image is None and here == there):
        return
    if image is None and here.suffix.lower() == there.suffix.lower():
        here.rename(there)
        return
    if image is None:
        with opened_by_name(here) as opened:  # saving drops the orientation tag
            opened.load()
            drop_xmp(opened)  # which is stored behind the pixels
            image = ImageOps.exif_transpose(opened)
    if there.suffix.lower() in (".jpg", ".jpeg"):
        image.save(there, quality=95, subsampling=0)
    else:
        image.save(there)
    if here != there:
        here.unlink()
