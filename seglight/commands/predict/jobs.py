"""What is checked before anything is written: that outputs do not collide, and by which model they are."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from seglight.commands.predict.inputs import Source
from seglight.commands.predict.outputs import FILES, LABELS, output_path
from seglight.errors import UserError
from seglight.system.checksums import file_sha256


def check_places(sources: Sequence[Source], out: Path, kinds: Sequence[str]) -> None:
    """Hold that every image has files of its own inside of the folder, none of which replaces an image.

    Args:
        sources: What is to be predicted.
        out: Folder of all outputs.
        kinds: Of outputs.

    Raises:
        UserError: Two images would become one file, or a file would replace an image or lie elsewhere.
    """
    images = {source.path.resolve() for source in sources}
    folders = {source.place: source for source in sources if source.is_video or source.is_tiff}
    taken: dict[Path, Source] = {}
    for source in sources:
        around = next((folders[parent] for parent in source.place.parents if parent in folders), None)
        for kind in [LABELS, *(kind for kind in kinds if kind in FILES)]:
            # frames lie in a folder of the video's name, beside which an image of that name may stand
            frames = source.is_video and kind != "video"
            path = out / FILES[kind][0] / source.place if frames else output_path(out, kind, source.place)
            other = next((taken[place] for place in (path, *path.parents) if place in taken), around)
            if other is not None:
                raise UserError(
                    f"{source.path} and {other.path} would both become {path}: predict them into two folders"
                )
            taken[path] = source
            if path.resolve() in images:
                raise UserError(f"{path}: the label map would replace the image: choose another --out")
            # pages and frames lie in a folder of the file's name
            numbered = source.is_tiff or frames
            within = out / FILES[kind][0] / source.place if numbered else path.parent
            if not within.resolve().is_relative_to(out.resolve()):
                raise UserError(f"{source.path}: {path} is outside of --out, where that path or a link in it leads")


def checksum(model: Path) -> str:
    """SHA-256 of a model: of its file, of both of OpenVINO's, of a release's description, which has its weights'.

    Raises:
        UserError: It is not there.
    """
    # OpenVINO keeps the weights of an .xml in a .bin beside it
    beside = [model.with_suffix(".bin")] if model.suffix == ".xml" else []
    files = [model, *beside]
    if model.is_dir():
        from seglight.checkpoints.release import DESCRIPTION  # which imports torch, as its net will

        files = [model / DESCRIPTION]
    total = hashlib.sha256()
    for path in files:
        try:
            total.update(bytes.fromhex(file_sha256(path)))
        except OSError as error:
            raise UserError(f"{path}: no such model ({error.strerror})") from error
    return total.hexdigest()
