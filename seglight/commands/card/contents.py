"""Contents that the numbers of a card depend on: an unfinished card is continued only if they are the same."""

import hashlib
from contextlib import suppress
from pathlib import Path

from seglight.checkpoints.model_card import ModelCard
from seglight.commands.card.folder import CONTENT
from seglight.interfaces import Labelled
from seglight.system.checksums import file_sha256


def contents_of(checksum: str, model: ModelCard, split: Labelled, groups: str | None) -> dict[str, str]:
    """What identifies the net, the images and labels, and the groups; each is named as a message names it.

    Args:
        checksum: Checksum of the net's weights.
        model: Model card of the net.
        split: The split.
        groups: File or pattern of the groups; None if there are none.
    """
    found = {
        "model": f"{checksum} {model.temperature} {model.channels_last} {model.net}",
        f"{CONTENT}the images and labels": _files_of(split),
    }
    if groups is not None and Path(groups).is_file():
        found[f"{CONTENT}the file of --groups"] = file_sha256(Path(groups))
    return found


def _files_of(split: Labelled) -> str:
    """Digest of the size and the time of the last change of each file: their content would take as long as a pass."""
    paths = dict.fromkeys(path for index in range(len(split)) for path in split.sources(index))
    digest = hashlib.sha256(f"{len(split)} {split.fingerprint}".encode(errors="surrogateescape"))
    for path in paths:
        with suppress(OSError):  # a file that has gone is named when it is read
            stat = path.stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
