"""Writes a net as a file that runs without its code, and compares the file with the net."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray
from rich.progress import track
from torch.export import ExportedProgram

from seglight import __version__
from seglight.checkpoints.checkpoint import weights_checksum
from seglight.commands.export.check import CheckImages, check_folder, compare, holds_labels, image_paths
from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.onnx import write_onnx
from seglight.commands.export.openvino import openvino_model, write_openvino
from seglight.commands.export.options import FORMATS, OPSET
from seglight.commands.export.quantize import quantize_onnx, quantize_openvino
from seglight.commands.export.torch_program import write_compiled_program, write_torch_program
from seglight.errors import UserError, say
from seglight.images.bands import Bands
from seglight.images.pixels import read_pixels
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.inference.torch_predictor import TorchPredictor
from seglight.system.atomic import atomic_path
from seglight.system.terminal import PlainConsole, plain_console

CALIBRATION = 32
"""Largest number of images that calibrate int8: more hardly change the ranges of activations."""


def export(
    predictor: TorchPredictor,
    out: Path,
    size: tuple[int, int] | None = None,
    calibrate: Path | None = None,
    check: Path | None = None,
    probabilities: bool = False,
    aot: bool = False,
    opset: int = OPSET,
    batch: bool = False,
) -> bool:
    """Write a net to a file in the format of its suffix.

    Args:
        predictor: Net to export.
        out: Path of the file; OpenVINO's weights are written beside it.
        size: Height and width of the images, or None for any size.
        calibrate: Folder of images for the calibration of int8, or None for float32.
        check: Folder of images on which the file is compared with the net; see `CheckImages`.
        probabilities: Whether the graph returns the probabilities, too.
        aot: Whether the graph is compiled by AOTInductor, for .pt2 files only.
        opset: Operator set of an ONNX file, one of `OPSETS`.
        batch: Whether the graph takes any number of images of one size; otherwise one.

    Returns:
        Whether the file passes its check; otherwise it is not written.

    Raises:
        UserError: The net or the format does not support an option, a package is missing, there are no images, or the
            net's logits for a calibration image are not finite.
    """
    provenance = replace(
        predictor.card.provenance,
        version=__version__,
        parameters=sum(parameter.numel() for parameter in predictor.net.parameters()),
        checksum=weights_checksum(predictor.net.state_dict()),
    )
    card = replace(predictor.card, provenance=provenance)
    metadata = Metadata(card, precision="float32" if calibrate is None else "int8", size=size, batch=batch)
    if check is not None:
        check_folder(check, card.class_names, card.pixels, size, metadata.precision)
    images = [] if calibrate is None else calibration_images(calibrate, size, card.pixels)
    for image in images:  # activations that overflow have no range
        predictor.predict(image)
    say(f"{out}: tracing the net and writing the file")
    program = program_of(Deployed(predictor.net, probabilities, card.temperature), size, batch)
    console = plain_console()
    try:
        with written(out) as part:
            write(program, metadata, images, part, aot, opset)
            if check is not None:
                verify(predictor, part, out, check, console)
    except TooFarError as error:
        console.print(f"{out}: not written, too far from the checkpoint: {error}")
        return False
    if card.temperature is not None and calibrate is not None:
        say(f"{out}: its temperature {card.temperature:.4g} was found for the float32 net, not for int8")
    tempered = "" if card.temperature is None else f", temperature {card.temperature:.4g}"
    sides = "any size" if size is None else "{}x{}".format(*size)
    batches = ", in batches" if batch else ""
    console.print(f"{out}: {metadata.precision}, images of {sides}{batches}, {card.num_classes} classes{tempered}")
    return True


class TooFarError(Exception):
    """Ends the writing of a file, which is removed."""


def verify(predictor: TorchPredictor, path: Path, name: Path, folder: Path, console: PlainConsole) -> None:
    """Compare a file with its net, and print the result.

    Args:
        predictor: Net that was exported.
        path: Path of the file.
        name: Final path of the file, for messages.
        folder: Folder of images.
        console: Console that prints the result.

    Raises:
        TooFarError: The difference exceeds the tolerance.
        UserError: See `CheckImages` and `Comparison.fault`.
    """
    exported = load_exported(path, trust=(PROGRAM,), name=name)
    images = CheckImages(folder, predictor.class_names, predictor.card.pixels)
    say(f"{name}: comparing it with the checkpoint on {len(images)} images")
    errors = plain_console(stderr=True)
    shown = track(images, "check", len(images), console=errors, disable=not errors.is_terminal)
    comparison = compare(predictor, exported, shown, exported.metadata.batch)
    for line in comparison.lines():
        console.print(line)
    fault = comparison.fault(exported.metadata.precision)
    if fault:
        raise TooFarError(fault)


def write(
    program: ExportedProgram,
    metadata: Metadata,
    images: Sequence[NDArray[Any]],
    path: Path,
    aot: bool,
    opset: int,
) -> None:
    """Write a traced graph in the format of the path's suffix; as int8 if there are images to calibrate it."""
    with TemporaryDirectory() as folder:
        scratch = Path(folder) / "float.onnx"
        if path.suffix == FORMATS["torch"]:
            (write_compiled_program if aot else write_torch_program)(program, metadata, path)
        elif path.suffix == FORMATS["openvino"]:
            model = openvino_model(program, metadata, scratch)
            write_openvino(quantize_openvino(model, images) if images else model, metadata, path)
        elif images:
            write_onnx(program, metadata, scratch, opset)
            quantize_onnx(scratch, images, path)
        else:
            write_onnx(program, metadata, path, opset)


@contextmanager
def written(out: Path) -> Iterator[Path]:
    """As `atomic_path`; OpenVINO's weights are renamed before the graph, and after an older graph is removed."""
    with ExitStack() as stack:
        part = stack.enter_context(atomic_path(out))
        if out.suffix == FORMATS["openvino"]:
            stack.enter_context(atomic_path(out.with_suffix(".bin")))
        yield part
        if out.suffix == FORMATS["openvino"]:
            out.unlink(missing_ok=True)


def calibration_images(folder: Path, size: tuple[int, int] | None, bands: Bands) -> list[NDArray[Any]]:
    """Read at most `CALIBRATION` images of a folder, evenly spaced.

    Args:
        folder: Folder of images.
        size: Height and width of the images, or None for any size.
        bands: What the images hold.

    Raises:
        UserError: There is none, one has another size, or the folder contains label maps.
    """
    if holds_labels(folder):
        raise UserError(f"--calibrate {folder}: it contains label maps, too: give its folder of training images")
    paths = image_paths(folder, bands)
    chosen = [paths[len(paths) * k // CALIBRATION] for k in range(CALIBRATION)] if len(paths) > CALIBRATION else paths
    images = [read_pixels(path, bands) for path in chosen]
    for path, image in zip(chosen, images, strict=True):
        if size not in (None, image.shape[:2]):
            raise UserError(f"{path}: {image.shape[0]}x{image.shape[1]}: calibrate with images of --size")
    return images
