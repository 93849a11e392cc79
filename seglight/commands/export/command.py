"""Export a net to a file that runs without its code: ONNX, OpenVINO or torch.export; from uint8 RGB to labels."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from torch.export import ExportedProgram

from seglight import __version__
from seglight.checkpoints.checkpoint import weights_checksum
from seglight.commands.export.check import check_folder, compare, holds_labels, image_paths, images_of
from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.onnx import OPSET, OPSETS, write_onnx
from seglight.commands.export.openvino import openvino_model, write_openvino
from seglight.commands.export.quantize import quantize_onnx, quantize_openvino
from seglight.commands.export.torch_program import write_compiled_program, write_torch_program
from seglight.commands.export.triton import model_path, write_config
from seglight.commands.recipe import size_of
from seglight.errors import UserError, say
from seglight.images.decode import read_image
from seglight.inference.exported.metadata import Metadata
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from seglight.inference.load import members
from seglight.inference.torch_predictor import TorchPredictor, load_torch
from seglight.system.atomic import atomic_path
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import PlainConsole, plain_console

FORMATS = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
"""Suffix of the files of each format."""

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
        check: Folder of images on which the file is compared with the net; see `images_of`.
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
        check_folder(check, card.class_names, size, metadata.precision)
    images = [] if calibrate is None else calibration_images(calibrate, size)
    for image in images:  # activations that overflow have no range
        predictor.predict(image)
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
        UserError: See `images_of` and `Comparison.fault`.
    """
    exported = load_exported(path, trust=(PROGRAM,), name=name)
    images = images_of(folder, predictor.class_names)
    comparison = compare(predictor, exported, images, exported.metadata.batch)
    for line in comparison.lines():
        console.print(line)
    fault = comparison.fault(exported.metadata.precision)
    if fault:
        raise TooFarError(fault)


def write(
    program: ExportedProgram,
    metadata: Metadata,
    images: Sequence[NDArray[np.uint8]],
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


def calibration_images(folder: Path, size: tuple[int, int] | None) -> list[NDArray[np.uint8]]:
    """Read at most `CALIBRATION` images of a folder, evenly spaced.

    Raises:
        UserError: There is none, one has another size, or the folder contains label maps.
    """
    if holds_labels(folder):
        raise UserError(f"--calibrate {folder}: it contains label maps, too: give its folder of training images")
    paths = image_paths(folder)
    chosen = [paths[len(paths) * k // CALIBRATION] for k in range(CALIBRATION)] if len(paths) > CALIBRATION else paths
    images = [read_image(path) for path in chosen]
    for path, image in zip(chosen, images, strict=True):
        if size not in (None, image.shape[:2]):
            raise UserError(f"{path}: {image.shape[0]}x{image.shape[1]}: calibrate with images of --size")
    return images


def main(args: list[str]) -> int:
    """Run `export`.

    Returns:
        0, or 1 if the file failed its check.

    Raises:
        UserError: See `export`, or the arguments are wrong.
    """
    parser = new_parser("export", __doc__)
    parser.add_argument(
        "model", type=str, help="checkpoint or released folder; several separated by commas: their ensemble"
    )
    about = f"{', '.join(FORMATS)}; default: by the suffix of --out"
    parser.add_argument("--format", type=str | None, default=None, help=about)
    parser.add_argument("--out", type=Path, help=f"file to write: {', '.join(FORMATS.values())}")
    about = "model repository of Triton Inference Server to write to instead: the net as ONNX, and its configuration"
    parser.add_argument("--triton", type=Path, help=about)
    parser.add_argument(
        "--size", type=str, default="dynamic", help="height x width of the images, or dynamic for any size"
    )
    parser.add_argument("--batch", action="store_true", help="take several images of one size at once")
    about = f"operator set of an ONNX file, {OPSETS[0]} to {OPSETS[-1]} (default: {OPSET})"
    parser.add_argument("--opset", type=int | None, default=None, help=about)
    parser.add_argument("--quantize", type=str, help="int8, calibrated on real images")
    parser.add_argument("--calibrate", type=Path, help="folder of images for --quantize")
    parser.add_argument(
        "--check",
        type=Path,
        help="folder of images for a comparison with the checkpoint, with labels "
        "as CamVid's folders or as images/val and masks/val beside a classes.yaml",
    )
    parser.add_argument("--probabilities", action="store_true", help="return the probabilities of the classes, too")
    parser.add_argument("--aot", action="store_true", help="with torch: compile the graph; needs a C++ compiler")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the checkpoint may name")
    options = parse_arguments(parser, args[1:])
    models = members(options.model)
    out = target(options.out, options.triton, models)
    form = options.format or format_of(out)
    check_options(form, out, options.quantize, options.calibrate, options.aot, options.opset)
    predictor = load_torch(models, "cpu", trust=options.trust)
    size = None if options.size == "dynamic" else size_of(options.size)
    batch = options.batch or options.triton is not None  # Triton makes batches of its own
    graph = options.probabilities, options.aot, options.opset or OPSET, batch
    if not export(predictor, out, size, options.calibrate, options.check, *graph):
        return 1
    if options.triton is not None:
        write_config(out, predictor.card)
    return 0


def target(out: Path | None, triton: Path | None, models: Sequence[str]) -> Path:
    """The file to write.

    Raises:
        UserError: Not one of the two options is given.
    """
    if out is not None and triton is not None:
        raise UserError("--out and --triton: give one of them: --triton DIR writes DIR/NAME/1/model.onnx")
    if triton is not None:
        return model_path(triton, models)
    if out is None:
        raise UserError("give --out FILE, or --triton DIR for Triton Inference Server")
    return out


def format_of(out: Path) -> str:
    """The format that the suffix of a file tells.

    Raises:
        UserError: It tells none.
    """
    found = next((form for form, suffix in FORMATS.items() if suffix == out.suffix), None)
    if found is None:
        raise UserError(f"--out {out}: give a file that ends in {', '.join(FORMATS.values())}")
    return found


def check_options(
    form: str, out: Path, quantize: str | None, calibrate: Path | None, aot: bool, opset: int | None = None
) -> None:
    """Check that the options fit together, before anything takes time.

    Raises:
        UserError: They do not.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form}: give one of {', '.join(FORMATS)}")
    if out.suffix != FORMATS[form]:
        raise UserError(f"--out {out}: a file of --format {form} ends in {FORMATS[form]}")
    if quantize not in (None, "int8"):
        raise UserError(f"--quantize {quantize}: only int8 is supported")
    if (quantize is None) != (calibrate is None):
        raise UserError(
            "--quantize int8 and --calibrate FOLDER are given together: int8 needs images to find its ranges"
        )
    if quantize and form == "torch":
        raise UserError("--quantize int8 needs --format onnx or openvino")
    if aot and form != "torch":
        raise UserError("--aot needs --format torch")
    if opset is not None and form != "onnx":
        raise UserError("--opset needs --format onnx")
    if opset not in (None, *OPSETS):
        raise UserError(f"--opset {opset}: give one of {OPSETS[0]} to {OPSETS[-1]}")
