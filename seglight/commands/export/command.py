"""Export a net to a file that runs without its code: ONNX, OpenVINO or torch.export; from uint8 RGB to labels."""

from pathlib import Path

from seglight.commands.export.options import FORMATS, OPSET, OPSETS, check_options, format_of, target
from seglight.commands.export.triton import write_config
from seglight.inference.members import members
from seglight.system.parsing import new_parser, parse_arguments, size_of


def main(args: list[str]) -> int:
    """Run `export`.

    Returns:
        0, or 1 if the file failed its check.

    Raises:
        UserError: See `writing.export`, or the arguments are wrong.
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
    size = None if options.size == "dynamic" else size_of(options.size)
    from seglight.commands.export.writing import export  # it imports torch, which takes seconds
    from seglight.inference.torch_predictor import load_torch

    predictor = load_torch(models, "cpu", trust=options.trust)
    batch = options.batch or options.triton is not None  # Triton makes batches of its own
    graph = options.probabilities, options.aot, options.opset or OPSET, batch
    if not export(predictor, out, size, options.calibrate, options.check, *graph):
        return 1
    if options.triton is not None:
        write_config(out, predictor.card)
    return 0
