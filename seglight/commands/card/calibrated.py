"""The copy of the model that keeps the best temperature, in the folder of the card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seglight.checkpoints.checkpoint import load_net, weights_checksum
from seglight.checkpoints.release import is_release
from seglight.commands.card.folder import CALIBRATED
from seglight.errors import UserError


def calibrated_path(out: Path, model: Path) -> Path:
    """Where the copy of a model is written: a file for a checkpoint, a folder for a released folder."""
    return out / (CALIBRATED if is_release(model) else f"{CALIBRATED}.ckpt")


def check_calibrated(
    expected: Path | None, out: Path, checksum: str, finished: Mapping[str, Any] | None, trust: Sequence[str] = ()
) -> None:
    """Check that a copy in the folder of an unfinished card is what the card writes at its end.

    Args:
        expected: Where the card writes its copy; None if it writes none.
        out: Folder of the card.
        checksum: Checksum of the model's weights.
        finished: Parts of the unfinished card; None if there are none.
        trust: Further packages whose classes the model may name.

    Raises:
        UserError: The folder holds another copy.
    """
    for path in (out / CALIBRATED, out / f"{CALIBRATED}.ckpt"):
        if not path.exists():
            continue
        temperature = None if finished is None or path != expected else finished["calibration"]["temperature"]
        if temperature is None or not _is_copy(path, checksum, temperature, trust):
            raise UserError(f"{path}: it is not the copy of the model that this card writes: move it to another place")


def _is_copy(path: Path, checksum: str, temperature: float, trust: Sequence[str]) -> bool:
    try:
        net, card = load_net(path, trust)
    except UserError:
        return False
    return card.temperature == temperature and weights_checksum(net.state_dict()) == checksum
