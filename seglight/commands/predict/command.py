"""Write label maps for images, folders, videos and TIFFs, and what is made of label maps.

  seglight predict MODEL INPUT... --out DIR [--save KIND...] [--max_memory 2GB] [--batch N]

Of every image DIR holds an 8-bit PNG of class indices at the image's size, with the classes' palette; pages of a TIFF
and frames of a video are numbered in a folder of its name. Run again, the command leaves what is done.

MODEL is a checkpoint of `seglight fit`, a folder of `seglight release`, or a file of `seglight export`. Several
checkpoints with commas between them predict the mean of their probabilities: a.ckpt,b.ckpt,c.ckpt

--max_memory 2GB holds for the whole process: images come one at a time, what does not fit is seen by windows, and what
of --save would not fit is listed as failed.

--save adds, under DIR:
  overlay        overlay/*.jpg, the label map laid over the image
  probabilities  probabilities/*.npz, an array `probabilities`: float16 (classes, height, width)
  cityscapes     cityscapes/*.png, label ids as Cityscapes' server takes them
  ade            ade/*.png, class indices + 1 as ADE20K's scene parsing benchmark takes them
  csv            shares.csv, the share of each class in each image
  coco           coco.json, connected components as objects, with boxes and run lengths
  coco_polygons  coco_polygons.json, the same with polygons
  video          video/*.mp4, videos with label maps laid over them

Exit code: 0 all is written, 1 some inputs failed (they are listed), 2 nothing could be done, 130 Ctrl-C.
"""

import re
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import DefaultHelpFormatter
from jsonargparse.typing import PositiveInt
from rich.progress import Progress

from seglight.commands.predict.inputs import Source, count, find
from seglight.commands.predict.jobs import check_places, checksum
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.commands.predict.outputs import writers
from seglight.commands.predict.run import Run
from seglight.commands.predict.summaries import write_tables, write_video
from seglight.errors import STOPPED, UserError, one_line, say
from seglight.inference.load import load, members
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
    """Predict images into a folder, and say how many.

    Args:
        models: A checkpoint, a released folder or an exported file; or several checkpoints.
        inputs: Images, folders, globs, videos, TIFFs.
        out: Folder of the outputs.
        save: What to write beside the label maps.
        batch: Images that are handed to the net together; those of one size pass it at once.
        max_memory: What the process may hold at most, such as 2GB: images that do not fit are predicted by windows.
        device: "cpu", "cuda", ..., or "auto": a GPU where there is one.
        trust: Further packages whose classes a checkpoint may name.

    Returns:
        What failed, a line each.

    Raises:
        UserError: An input is missing, outputs would collide, or the model cannot be used.
    """
    if not out or not all(inputs):
        raise UserError("--out or an input is empty: of a shell's variable that is not set?")
    folder = Path(out)
    sources = find(inputs, folder)
    videos = [source for source in sources if source.is_video] if "video" in save else []
    if "video" in save and not videos:
        raise UserError("--save video: none of the inputs is a video")
    check_places(sources, folder, save)
    limit = None if max_memory is None else _bytes(max_memory)
    predictor = load(models, device=device, trust=trust, max_memory=limit)
    if len(predictor.class_names) > 256:
        raise UserError(f"{models[0]}: {len(predictor.class_names)} classes, of which an 8-bit PNG holds 256")
    maker = " ".join([*(checksum(Path(model)) for model in models), *([max_memory] if max_memory else [])])
    room = MemoryBudget(
        limit if getattr(predictor, "device", "cpu") == "cpu" else None
    )  # on a GPU the limit is that of torch
    run = Run(predictor, folder, writers(save, predictor), maker, room)
    console = plain_console(stderr=True)
    try:
        with Progress(console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("predict", total=sum(map(count, sources)))
            run.predict(sources, batch, lambda number: progress.advance(bar, number))
        left_out = write_tables(save, predictor.class_names, run.done, folder, room)
        failures = [*run.failures, *left_out, *_write_videos(videos, run)]
    except OSError as error:
        raise UserError(f"--out {out}: {error}: make room, or choose another") from error
    plain_console().print(_told(run, out))
    return failures


def _bytes(text: str) -> int:
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i?)?B?", text)
    if not size:
        raise UserError(f"--max_memory {text}: give bytes with a unit, such as 2GB or 1500MiB")
    unit = size[2] or ""
    return int(float(size[1]) * (1024 if unit.endswith("i") else 1000) ** " KMGT".index(unit[:1] or " "))


def _write_videos(videos: Sequence[Source], run: Run) -> Iterator[str]:
    for source in videos:
        try:
            write_video(source, run.out, run.predictor.palette)
        except UserError as error:
            yield one_line(error)


def _told(run: Run, out: str) -> str:
    there = len(run.done) - run.written
    kept = f", {there} of them from before" if there else ""
    return f"{len(run.done)} label map{'' if len(run.done) == 1 else 's'} in {out}{kept}"


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def main(args: list[str]) -> int:
    """Run `predict`; gives 1 where some inputs failed, 130 where Ctrl-C has ended it.

    Raises:
        UserError: As `predict`, or the arguments are wrong.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with an image is told as its failure
    parser = new_parser("predict", __doc__, formatter_class=_Help)
    parser.add_argument("model", type=str, help="what predicts; checkpoints with commas between them: their ensemble")
    parser.add_argument("inputs", type=str, nargs="+", help="images, videos, TIFFs, folders of them, globs")
    parser.add_argument("--out", type=str, required=True, help="folder of the outputs")
    parser.add_argument("--save", type=Kind, nargs="+", default=[], metavar="KIND", help="as above")
    parser.add_argument("--batch", type=PositiveInt, default=1, help="images that the net sees together")
    parser.add_argument(
        "--max_memory",
        type=str,
        default=None,
        help="what the process may hold, such as 2GB: larger images are predicted by windows",
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, ..., or auto: a GPU where there is one")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the checkpoint may name")
    config = parse_arguments(parser, args[1:])
    try:
        failures = predict(
            members(config.model), **{key: value for key, value in vars(config).items() if key != "model"}
        )
    except KeyboardInterrupt:
        say("stopped: the same command goes on from here")
        return STOPPED
    for failure in failures:
        say(f"failed: {failure}")
    return 1 if failures else 0
