"""Write a label map for every image: an 8-bit PNG of class indices at the image's size, with the classes' palette."""

from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import track

from seglight.checkpoint import load_net
from seglight.data.files import read_image
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError
from seglight.files import whole
from seglight.inference.whole import whole_image
from seglight.visualize import palette_image


def predict(checkpoint: str, inputs: Sequence[str], out: str, device: str = "auto", trust: Sequence[str] = ()) -> None:
    """Predict images with a checkpoint, which carries all it needs: net, classes, palette, normalisation.

    Args:
        checkpoint: A checkpoint of `seglight fit`.
        inputs: Images, and folders that are searched for images at any depth.
        out: Folder for the label maps; they keep the images' names, and their places within a folder.
        device: "cpu", "cuda", ..., or "auto": a GPU where there is one.
        trust: Further packages whose classes the checkpoint may name.

    Raises:
        UserError: An input is missing or damaged, two would have the same output, or the checkpoint can't be used.
    """
    jobs = plan(inputs, Path(out))
    net, card = load_net(checkpoint, trust)
    target = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        net.to(target)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise UserError(f"--device {device}: not to be had here: {str(error).splitlines()[0]}") from error
    memory_format = torch.channels_last if card["channels_last"] else torch.contiguous_format
    console = Console(stderr=True)
    for source, path in track(jobs, "predict", console=console, disable=not console.is_terminal):
        image = torch.tensor(read_image(source)).permute(2, 0, 1)[None].to(target)
        labels = whole_image(net, image.contiguous(memory_format=memory_format))[0].cpu().numpy()
        with whole(path) as part:
            palette_image(labels, card["palette"]).save(part)
    Console().print(f"{len(jobs)} label map{'' if len(jobs) == 1 else 's'} in {out}", soft_wrap=True, highlight=False)


def plan(inputs: Sequence[str], out: Path) -> list[tuple[Path, Path]]:
    """Every image with the path of its label map.

    Raises:
        UserError: An input is missing or holds no image, or two images would have the same label map.
    """
    jobs: dict[Path, Path] = {}
    for given in map(Path, inputs):
        if given.is_dir():
            found = sorted(path for path in given.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
            pairs = [(path, out / path.relative_to(given).with_suffix(".png")) for path in found]
        elif given.is_file():
            pairs = [(given, out / f"{given.stem}.png")]
        else:
            raise UserError(f"{given}: no such image or folder")
        if not pairs:
            raise UserError(f"{given}: no image in this folder ({', '.join(IMAGE_SUFFIXES)})")
        for source, path in pairs:
            if path in jobs:
                raise UserError(f"{source} and {jobs[path]} would both become {path}: predict them into two folders")
            if path.resolve() == source.resolve():
                raise UserError(f"{source}: its label map would replace the image: choose another --out")
            jobs[path] = source
    return [(source, path) for path, source in jobs.items()]


def main(args: list[str]) -> None:
    """Run `predict`.

    Raises:
        UserError: As `predict`, or the arguments are wrong.
    """
    parser = ArgumentParser(prog="seglight predict", description=predict.__doc__, exit_on_error=False)
    parser.add_argument("checkpoint", type=str, help="a checkpoint of `seglight fit`")
    parser.add_argument("inputs", type=str, nargs="+", help="images, or folders of images")
    parser.add_argument("--out", type=str, required=True, help="folder for the label maps")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, ..., or auto: a GPU where there is one")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the checkpoint may name")
    try:
        config = parser.parse_args(args[1:])
    except ArgumentError as error:
        raise UserError(f"{error}: see `seglight predict --help`") from error
    predict(config.checkpoint, config.inputs, config.out, config.device, config.trust)
