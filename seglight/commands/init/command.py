"""Recognise a labelled data set, and write a recipe for it that is ready to train."""

import os
import shlex
from pathlib import Path
from typing import Literal

from seglight.commands.init.duration import bytes_of, seconds_of
from seglight.commands.init.options import Options
from seglight.errors import UserError
from seglight.system.collector import command_imports
from seglight.system.parsing import new_parser, parse_arguments

SUFFIX = "_net"
"""End of the default name of a project's folder, after that of the data set."""


def default_out(data: Path) -> Path:
    """Folder of the project in the working directory, named after the data set."""
    return Path(f"{data.resolve().name or 'data'}{SUFFIX}")


def main(args: list[str]) -> None:
    """Run `init`.

    Raises:
        UserError: As for `init`, or an argument is wrong.
    """
    parser = new_parser("init", __doc__, print_config=None)
    parser.add_argument("data", type=Path, help="folder of the labelled data set, as the labelling tool exported it")
    about = "folder of the project, which must not exist; default: DATA_net in the working directory"
    parser.add_argument("--out", type=Path | None, default=None, metavar="PROJECT", help=about)
    parser.add_argument("--time", type=str, default="2h", help="time for the training, such as 30m or 2h")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu or gpu")
    about = "memory that the training may use, such as 8GB; default: most of the device's"
    parser.add_argument("--memory", type=str | None, default=None, help=about)
    about = "number of folds: lists of images for as many trainings, each validated on another part"
    parser.add_argument("--folds", type=int | None, default=None, metavar="K", help=about)
    about = "objects that have a box and no outline: their pixels are ignored, or belong to the class"
    parser.add_argument("--boxes", type=Literal["ignore", "fill"], default="ignore", help=about)
    parser.add_argument("--explain", action="store_true", help="show the reasons of the choices, and write nothing")
    given = parse_arguments(parser, args[1:])
    if given.folds is not None and given.folds < 2:
        raise UserError(f"--folds {given.folds}: give 2 or more")
    options = Options(
        data=given.data,
        out=given.out or default_out(given.data),
        time=seconds_of(given.time),
        device=given.device,
        memory=None if given.memory is None else bytes_of(given.memory),
        folds=given.folds,
        boxes=given.boxes,
        explain=given.explain,
        words=shlex.join(["seglight", *args]),
    )
    if not options.data.is_dir():
        raise UserError(f"{options.data}: no such folder: give the folder of a labelled data set")
    if options.data.resolve() in (options.out.resolve(), *options.out.resolve().parents) and not options.explain:
        outside = shlex.quote(os.path.relpath(options.data.resolve().parent / f"{options.data.resolve().name}{SUFFIX}"))
        raise UserError(
            f"{options.out}: it would lie in the folder of the data, to which nothing is written: add --out {outside}"
        )
    if options.out.exists() and not options.explain:
        raise UserError(f"{options.out}: it exists, and nothing in it is overwritten: give another --out")
    with command_imports():  # only now: mistakes in the options need no torch
        from seglight.commands.init import project

    project.init(options)
