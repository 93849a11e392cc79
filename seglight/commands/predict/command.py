"""Write label maps for images, folders, videos and TIFFs, and outputs made from label maps.

  seglight predict MODEL INPUT... --out DIR [--save KIND...] [--max_memory 2GB] [--batch N]

For every image, an 8-bit PNG of class indices is written to DIR, at the image's size and with the classes' palette;
pages of a TIFF and frames of a video are numbered in a folder of its name. Run again, the command skips what is done.
Inputs and DIR may be addresses: s3://bucket/folder, gs://bucket/folder, az://container/folder.

MODEL is a checkpoint of `seglight fit`, a folder of `seglight release`, or a file of `seglight export`. Several
checkpoints separated by commas predict the mean of their probabilities: a.ckpt,b.ckpt,c.ckpt

--max_memory 2GB limits the whole process: images are predicted one at a time, by windows if they do not fit whole, and
outputs of --save that would not fit are listed as failed.

--parallel N divides the inputs into N shards, each predicted by a process of its own: on this machine, or with
--executor slurm or ray on others, which see the same files. The files that are written are the same.

--save adds, under DIR:
  overlay        overlay/*.jpg, the image overlaid with its label map
  probabilities  probabilities/*.npz, an array `probabilities`: float16 (classes, height, width)
  cityscapes     cityscapes/*.png, label ids as Cityscapes' server accepts them
  ade            ade/*.png, class indices + 1 as ADE20K's scene parsing benchmark accepts them
  geotiff        geotiff/*.tif, Cloud Optimised GeoTIFFs that lie where the image does
  polygons       polygons/*.gpkg, connected regions with class and area in square metres; geojson: by RFC 7946
  csv            shares.csv, the fraction of each image that each class covers, and square metres where known
  coco           coco.json, connected components as objects with run lengths; coco_polygons: with polygons
  video          video/*.mp4, videos overlaid with their label maps

Exit code: 0 if all is written, 1 if some inputs failed (they are listed), 2 if nothing could be done, 130 on Ctrl-C.
"""

import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import DefaultHelpFormatter
from jsonargparse.typing import PositiveInt
from rich.progress import Progress

from seglight.commands.predict.band_inputs import check_images, images_of, pixel_bytes
from seglight.commands.predict.destination import Destination
from seglight.commands.predict.downloads import Downloads
from seglight.commands.predict.inputs import Source, count, find
from seglight.commands.predict.jobs import check_outputs, provenance
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.commands.predict.occupied import written_without_shards
from seglight.commands.predict.outputs import disk_errors, writers
from seglight.commands.predict.placed import check_placed, placed_writers
from seglight.commands.predict.remote_folder import open_destination
from seglight.commands.predict.request import Outcome, Request
from seglight.commands.predict.run import Run
from seglight.commands.predict.summaries import publish_tables, write_tables, write_video
from seglight.errors import STOPPED, UserError, one_line, say
from seglight.inference.load import load
from seglight.inference.members import members
from seglight.system.memory import parse_bytes
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import plain_console

Kind = Literal[
    "overlay",
    "probabilities",
    "cityscapes",
    "ade",
    "geotiff",
    "polygons",
    "geojson",
    "csv",
    "coco",
    "coco_polygons",
    "video",
]
ExecutorName = Literal["local", "slurm", "ray"]


def predict(
    models: Sequence[str],
    inputs: Sequence[str],
    out: str,
    save: Sequence[Kind] = (),
    batch: int = 1,
    max_memory: str | None = None,
    device: str = "auto",
    trust: Sequence[str] = (),
    executor: ExecutorName = "local",
    parallel: int = 1,
    devices: int = 1,
) -> list[str]:
    """Predict images into a folder, and print how many.

    Args:
        models: Checkpoint, released folder or exported file; or several checkpoints.
        inputs: Images, folders, globs, videos, TIFFs; or addresses of such objects, such as s3://bucket/images.
        out: Output folder, or its address.
        save: Kinds of outputs to write beside the label maps.
        batch: Number of images that are passed to the net together; those of one size are one batch.
        max_memory: Memory limit of the process, such as 2GB: images that do not fit are predicted by windows.
        device: "cpu", "cuda", ..., or "auto": a GPU if there is one.
        trust: Further packages whose classes a checkpoint may name.
        executor: Where shards of the inputs are predicted, if there are several, or if it is not this machine.
        parallel: Number of shards, which are predicted at the same time.
        devices: GPUs of each shard, where there are any.

    Returns:
        Failures, one line each.

    Raises:
        UserError: An input is missing, outputs would collide, the model cannot be used, no cluster is there, or another
            command writes to the folder.
        KeyboardInterrupt: A signal came.
    """
    if not out or not all(inputs):
        raise UserError("--out or an input is an empty text: is a variable of the shell not set?")
    with open_destination(out, one_at_a_time=max_memory is not None) as destination:
        sources = find(inputs, out)
        if "video" in save and not any(source.is_video for source in sources):
            raise UserError("--save video: none of the inputs is a video: leave this kind out")
        check_placed(save, sources)
        check_outputs(sources, destination, save)
        limit = None if max_memory is None else parse_bytes(max_memory)
        request = Request(list(models), out, list(save), batch, max_memory, limit, device, list(trust))
        if executor == "local" and parallel == 1:
            with written_without_shards(out):
                outcome = _predict_here(request, sources, destination)
        else:
            from seglight.commands.predict.shards.command import predict_shards

            outcome = predict_shards(request, sources, destination, executor, parallel, devices)
    plain_console().print(_summary(outcome, out))
    return [*outcome.failures, *outcome.left_out, *outcome.videos]


def _predict_here(request: Request, sources: Sequence[Source], destination: Destination) -> Outcome:
    part = Part(request, destination)
    check_images(sources, part.run.bands)
    if part.note:
        say(part.note)
    console = plain_console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("predict", total=sum(map(count, sources)))
        part.predict(sources, lambda number: progress.advance(bar, number))
    outcome = part.finish(sources, destination.folder, part.run.written)
    with disk_errors(request.out):
        publish_tables(request.save, destination)
    return outcome


class Part:
    """A part of the inputs, or all of them, predicted in this process.

    Args:
        request: Options of the command.
        destination: Output folder.
        threads: Number of threads of an exported file; None: its runtime's choice.

    Attributes:
        run: What predicts the inputs.
        note: What the user should know about the outputs, one line; empty if there is nothing.

    Raises:
        UserError: The model cannot be used.
    """

    def __init__(self, request: Request, destination: Destination, threads: int | None = None) -> None:
        predictor = load(
            request.models, device=request.device, trust=request.trust, max_memory=request.limit, threads=threads
        )
        self.request = request
        self.note = ""
        if "probabilities" in request.save and predictor.card.temperature is not None:
            temperature = f"{predictor.card.temperature:.4g}"
            self.note = f"probabilities are softmax(logits / {temperature}), the temperature of the model card"
        bands = predictor.card.pixels
        # on a GPU torch holds the limit
        self.budget = MemoryBudget(request.limit if predictor.device == "cpu" else None, pixel_bytes(bands))
        made = writers(request.save, predictor)
        placed = placed_writers(request.save, predictor, self.budget)
        areas = "csv" in request.save
        self.run = Run(predictor, destination, made, provenance(request), self.budget, placed, areas)

    def predict(self, sources: Sequence[Source], advance: Callable[[float], None]) -> None:
        """Write the label maps of the inputs, and the outputs beside them.

        Args:
            sources: Input files.
            advance: Function called with 1 for every finished image, or with a fraction of one.

        Raises:
            UserError: Nothing can be written.
        """
        chosen = images_of(sources, self.run.bands)
        advance(len(sources) - len(chosen))
        with disk_errors(self.request.out):
            self.run.predict(chosen, self.request.batch, advance)

    def finish(self, sources: Sequence[Source], tables: Path, written: int) -> Outcome:
        """Write the outputs that are made from the label maps of several images.

        Args:
            sources: Input files.
            tables: Folder for tables.
            written: Number of label maps that were written for these inputs.

        Raises:
            UserError: Nothing can be written.
        """
        out, names = self.run.out, self.run.predictor.class_names
        videos = [source for source in sources if source.is_video and "video" in self.request.save]
        with disk_errors(self.request.out):
            no_data = self.run.bands.has_nodata
            left_out = write_tables(
                self.request.save, names, self.run.done, tables, out.label_maps, self.budget, no_data, self.run.places
            )
            unwritten = [*_write_videos(videos, self.run)]
        left_out = [out.shown(line) for line in left_out]
        return Outcome(list(names), len(self.run.done), written, self.run.failures, left_out, unwritten, self.note)


def _write_videos(videos: Sequence[Source], run: Run) -> Iterator[str]:
    with Downloads() as downloads:
        for source in videos:
            copy = source
            try:
                if not run.out.has_video(source):
                    copy = downloads.fetch(source)
                    write_video(copy, run.out, run.predictor.palette)
            except UserError as error:
                yield run.out.shown(one_line(copy.named(error)))


def _summary(outcome: Outcome, out: str) -> str:
    former = outcome.done - outcome.written
    kept = f", {former} of them from before" if former > 0 else ""
    return f"{outcome.done} label map{'' if outcome.done == 1 else 's'} in {out}{kept}"


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
    parser.add_argument("--executor", type=ExecutorName, default="local", help="where shards are predicted")
    parser.add_argument("--parallel", type=PositiveInt, default=1, help="number of shards, predicted at the same time")
    parser.add_argument("--devices", type=PositiveInt, default=1, help="GPUs of each shard, where there are any")
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
