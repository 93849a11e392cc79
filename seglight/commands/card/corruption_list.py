"""The kinds of `--corruptions`. Imports no torch."""

from seglight.errors import UserError
from seglight.robustness.corruptions.corrupt import CAMERA_CORRUPTIONS, CORRUPTIONS, VALIDATION_CORRUPTIONS

GROUPS: dict[str, tuple[str, ...]] = {
    "common": CORRUPTIONS,
    "validation": VALIDATION_CORRUPTIONS,
    "camera": CAMERA_CORRUPTIONS,
    "none": (),
}
"""What `--corruptions` accepts beside the names of kinds; "none", which stands alone, leaves the consistency alone."""

ALL = tuple(kind for group in GROUPS.values() for kind in group)


def kinds_of(text: str) -> tuple[str, ...]:
    """Kinds from the text of `--corruptions`: names of kinds and of groups between commas, each kind once.

    Raises:
        UserError: A name is neither, or "none" is not alone.
    """
    kinds: dict[str, None] = {}
    names = [part.strip() for part in text.split(",")]
    for name in names:
        group = GROUPS.get(name, (name,))
        if not set(group) <= set(ALL):
            shown = name or "''"
            raise UserError(
                f"--corruptions {shown}: choose from {', '.join((*GROUPS, *ALL))}, with commas between them"
            )
        kinds.update(dict.fromkeys(group))
    if "none" in names and len(names) > 1:
        raise UserError(f"--corruptions {text}: none leaves all corruptions out: give it alone, or leave it out")
    return tuple(kinds)
