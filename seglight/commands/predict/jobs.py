"""Checks before anything is written: outputs do not collide; and the provenance of label maps."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from seglight.checkpoints.model_files import DESCRIPTION
from seglight.commands.predict.destination import Destination, foreign
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.kinds import FILES, LABELS, TABLES
from seglight.commands.predict.outputs import begins_as_table, output_path
from seglight.commands.predict.request import Request
from seglight.errors import UserError
from seglight.images.label_png import provenance_of
from seglight.system.checksums import file_sha256


def check_outputs(sources: Sequence[Source], destination: Destination, kinds: Sequence[str]) -> None:
    """Check that every image has outputs of its own inside the folder, none of which replaces a file of the user.

    Args:
        sources: Input files.
        destination: Folder of all outputs.
        kinds: Kinds of outputs.

    Raises:
        UserError: Two images have the same output, or an output would replace an image or another file that `predict`
            has not written, or lie outside of the folder.
    """
    out, shown = destination.folder, destination.shown
    images = {str(source.path.resolve()) if source.remote is None else source.shown for source in sources}
    folders = {source.key: source for source in sources if source.is_video or source.is_tiff}
    taken: dict[Path, Source] = {}
    for source in sources:
        around = next((folders[parent] for parent in source.key.parents if parent in folders), None)
        for kind in [LABELS, *(kind for kind in kinds if kind in FILES)]:
            # frames lie in a folder of the video's name, beside which an image of that name may stand
            frames = source.is_video and kind != "video"
            path = out / FILES[kind][0] / source.key if frames else output_path(out, kind, source.key)
            other = next((taken[above] for above in (path, *path.parents) if above in taken), around)
            if other is not None:
                both = f"{source.shown} and {other.shown}"
                raise UserError(shown(f"{both} have the same output {path}: predict them into two folders"))
            taken[path] = source
            if destination.address(path) in images:
                raise UserError(shown(f"{path}: the label map would replace the image: choose another --out"))
            # pages and frames lie in a folder of the file's name
            numbered = source.is_tiff or frames
            within = out / FILES[kind][0] / source.key if numbered else path.parent
            if not within.resolve().is_relative_to(out.resolve()):
                raise UserError(
                    shown(f"{source.shown}: {path} is outside of --out, where that path or a link in it leads")
                )
    _check_tables(destination, kinds)
    _check_further(sources, out, kinds)


def _check_tables(destination: Destination, kinds: Sequence[str]) -> None:
    for kind, name in TABLES.items():
        path = destination.folder / name
        if kind in kinds and (head := destination.head(path)) is not None and not begins_as_table(kind, head):
            raise foreign(destination.address(path))


def _check_further(sources: Sequence[Source], out: Path, kinds: Sequence[str]) -> None:
    """Check that outputs beside label maps replace none of the user: those that are there follow a label map."""
    further = [kind for kind in kinds if kind in FILES]
    present = (pair for source in sources for kind in further for pair in _present(out, source, kind))
    for path, labels in present:
        if not any(provenance_of(place) for place in chain([labels], out.rglob("*.png"))):
            raise UserError(
                f"{path}: exists, and no label map in {out} was written by `seglight predict`: move it, or choose "
                "another --out"
            )
        return


def _present(out: Path, source: Source, kind: str) -> Iterator[tuple[Path, Path]]:
    """Outputs of a kind that are there, each with the place of its label map."""
    if (path := output_path(out, kind, source.key)).is_file():
        yield path, output_path(out, LABELS, source.key)
    if source.is_tiff or source.is_video:
        folder, suffix = FILES[kind]
        for page in (out / folder / source.key).glob(f"[0-9]*{suffix}"):
            yield page, output_path(out, LABELS, source.key / page.stem)


def checksum(model: Path) -> str:
    """SHA-256 of a model: of its file, of both of OpenVINO's files, or of a release's description.

    Raises:
        UserError: The file does not exist.
    """
    # OpenVINO keeps the weights of an .xml in a .bin beside it
    beside = [model.with_suffix(".bin")] if model.suffix == ".xml" else []
    files = [model, *beside]
    if model.is_dir():
        files = [model / DESCRIPTION]
    total = hashlib.sha256()
    for path in files:
        try:
            total.update(bytes.fromhex(file_sha256(path)))
        except OSError as error:
            raise UserError(f"{path}: no such model ({error.strerror})") from error
    return total.hexdigest()


def provenance(request: Request) -> str:
    """Models and options of label maps: one that states the same is kept.

    Raises:
        UserError: A model does not exist.
    """
    limit = [request.max_memory] if request.max_memory else []
    return " ".join([*(checksum(Path(model)) for model in request.models), *limit])
