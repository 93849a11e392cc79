"""The content of card.json from what was measured; all numbers are plain, null where they are not defined."""

from collections.abc import Sequence
from typing import Any

from seglight.commands.card.counters import Images
from seglight.commands.card.measure import Measured
from seglight.commands.card.scores import calibration_of, confusions, distribution, image_scores, scores_of, sizes_of
from seglight.images.types import Color
from seglight.interfaces import Inferer
from seglight.metrics import PROTOCOL
from seglight.metrics.groups import groups_of


def protocol(inferer: Inferer | None) -> str:
    """How the split is scored, in the words of scores.json."""
    return f"{PROTOCOL}; {inferer or 'whole image in one pass'}"


def measured_parts(
    measured: Measured, class_names: Sequence[str], palette: Sequence[Color], by: str | None
) -> dict[str, Any]:
    """The parts of a card that come from counts.

    Args:
        measured: What the passes have counted.
        class_names: Names of the classes.
        palette: RGB colours of the classes.
        by: File or pattern of groups of images, as for `groups_of`.

    Raises:
        UserError: An image is in no group.
    """
    images: Images = measured.images
    groups = groups_of(images.names, by)
    return {
        "images": len(images.names),
        "class_names": list(class_names),
        "palette": [list(color) for color in palette],
        "groups": {"by": groups.by, "count": len(groups.names)},
        **scores_of(images, groups.ids, class_names),
        "confusions": confusions(images.confusion.confusion(), class_names),
        "sizes": sizes_of(measured.sizes, measured.edges, class_names),
        "calibration": calibration_of(measured.before, measured.temperature, measured.after, measured.error_detection),
        "distribution": distribution(image_scores(images)),
    }
