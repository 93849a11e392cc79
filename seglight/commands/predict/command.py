"""Write label maps for images, folders, videos and TIFFs, and outputs made from label maps.

  seglight predict MODEL INPUT... --out DIR [--save KIND...] [--max_memory 2GB] [--batch N]

For every image, an 8-bit PNG of class indices is written to DIR, at the image's size and with the classes' palette;
pages of a TIFF and frames of a video are numbered in a folder of its name. Run again, the command skips what is done.

MODEL is a checkpoint of `seglight fit`, a folder of `seglight release`, or a file of `seglight export`. Several
checkpoints separated by commas predict the mean of their probabilities: a.ckpt,b.ckpt,c.ckpt

--max_memory 2GB limits the whole process: images are predicted one at a time, by windows if they do not fit whole, and
outputs of --save that would not fit are listed as failed.

--save adds, under DIR:
  overlay        overlay/*.jpg, the image overlaid with its label map
  probabilities  probabilities/*.npz, an array `probabilities`: float16 (classes, height, width)
  cityscapes     cityscapes/*.png, label ids as Cityscapes' server accepts them
  ade            ade/*.png, class indices + 1 as ADE20K's scene parsing benchmark accepts them
  csv            shares.csv, the fraction of each image that each class covers
  coco           coco.json, connected components as objects, with boxes and run lengths
  coco_polygons  coco_polygons.json, the same with polygons
  video          video/*.mp4, videos overlaid with their label maps

Exit code: 0 if all is written, 1 if some inputs failed (they are listed), 2 if nothing could be done, 130 on Ctrl-C.
"""

import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import DefaultHelpFormatter
from jsonargparse.typing import PositiveInt
from rich.progress import Progress

from seglight.commands.predict.inputs import Source, count, find
from seglight.commands.predict.jobs import check_outputs, checksum
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.commands.predict.outputs import writers
from seglight.commands.predict.run import Run
from seglight.commands.predict.summaries import write_tables, write_video
from seglight.errors import STOPPED, UserError, one_line, say
from seglight.inference.load import load, members
from seglight.system.memory import parse_bytes
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import plain_console

Kind = Literal["overlay", "probabilities", "cityscapes", "ade", "csv", "coco", "coco_polygons", "video"]


def predict(
    models: Sequence[str],
    inputs: Sequence[str],
    out: str,
    save: Sequence[Kind] = (),
    batch: int = 1,
    max_memory: str | None = None,
    device: str = "auto",
    trust: Sequence[str] = (),
) -> list[str]:
    """Predict images into a folder, and print how many.

    Args:
        models: Checkpoint, released folder or exported file; or several checkpoints.
        inputs: Images, folders, globs, videos, TIFFs.
        out: Output folder.
        save: Kinds of outputs to write beside the label maps.
        batch: Number of images that are passed to the net together; those of one size are one batch.
        max_memory: Memory limit of the process, such as 2GB: images that do not fit are predicted by windows.
        device: "cpu", "cuda", ..., or "auto": a GPU if there is one.
        trust: Further packages whose classes a checkpoint may name.

    Returns:
        Failures, one line each.

    Raises:
        UserError: An input is missing, outputs would collide, or the model cannot be used.
    """
    if not out or not all(inputs):
        raise UserError("--out or an input is an empty text: is a variable of the shell not set?")
    folder = Path(out)
    sources = find(inputs, folder)
    videos = [source for source in sources if source.is_video] if "video" in save else []
    if "video" in save and not videos:
        raise UserError("--save video: none of the inputs is a video: leave this kind out")
    check_outputs(sources, folder, save)
    limit = None if max_memory is None else parse_bytes(max_memory)
    predictor = load(models, device=device, trust=trust, max_memory=limit)
    if len(predictor.class_names) > 256:
        raise UserError(f"{models[0]}: {len(predictor.class_names)} classes: an 8-bit PNG holds 256 at most")
    if "probabilities" in save and predictor.card.temperature is not None:
        say(f"probabilities are softmax(logits / {predictor.card.temperature:.4g}), the temperature of the model card")
    provenance = " ".join([*(checksum(Path(model)) for model in models), *([max_memory] if max_memory else [])])
    budget = MemoryBudget(limit if predictor.device == "cpu" else None)  # on a GPU torch holds the limit
    run = Run(predictor, folder, writers(save, predictor), provenance, budget)
    console = plain_console(stderr=True)
    try:
        with Progress(console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("predict", total=sum(map(count, sources)))
            run.predict(sources, batch, lambda number: progress.advance(bar, number))
        left_out = write_tables(save, predictor.class_names, run.done, folder, budget)
        failures = [*run.failures, *left_out, *_write_videos(videos, run)]
    except OSError as error:
        raise UserError(f"--out {out}: {error}: free some space, or choose another folder") from error
    plain_console().print(_summary(run, out))
    return failures


def _write_videos(videos: Sequence[Source], run: Run) -> Iterator[str]:
    for source in videos:
        try:
            write_video(source, run.out, run.predictor.palette)
        except UserError as error:
            yield one_line(error)


def _summary(run: Run, out: str) -> str:
    former = len(run.done) - run.written
    kept = f", {former} of them from before" if former else ""
    return f"{len(run.done)} label map{'' if len(run.done) == 1 else 's'} in {out}{kept}"


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def main(args: list[str]) -> int:
    """Run `predict` and return the exit code: 1 if some inputs failed, 130 after Ctrl-C.

    Raises:
        UserError: See `predict`, or the arguments are wrong.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # problems of an image are reported as its failure
    parser = new_parser("predict", __doc__, formatter_class=_Help)
    parser.add_argument("model", type=str, help="model that predicts; checkpoints separated by commas: their ensemble")
    parser.add_argument("inputs", type=str, nargs="+", help="images, videos, TIFFs, folders of them, globs")
    parser.add_argument("--out", type=str, required=True, help="output folder")
    parser.add_argument("--save", type=Kind, nargs="+", default=[], metavar="KIND", help="further outputs, see above")
    parser.add_argument("--batch", type=PositiveInt, default=1, help="images that are passed to the net together")
    parser.add_argument(
        "--max_memory",
        type=str,
        default=None,
        help="memory limit of the process, such as 2GB: larger images are predicted by windows",
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, ..., or auto: a GPU if there is one")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the checkpoint may name")
    config = parse_arguments(parser, args[1:])
    try:
        failures = predict(
            members(config.model), **{key: value for key, value in vars(config).items() if key != "model"}
        )
    except KeyboardInterrupt:
        say("stopped: repeat the command to continue from here")
        return STOPPED
    for failure in failures:
        say(f"failed: {failure}")
    return 1 if failures else 0
