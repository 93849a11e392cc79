"""`python -m seglight`: sends each command to its module; `--help` and `--version` import nothing heavy."""

import sys
from importlib import import_module

from seglight import __version__
from seglight.errors import STOPPED, UserError, one_line, say, user_error_behind
from seglight.system.escaping import write_anything
from seglight.system.threads import sleep_at_barriers

COMMANDS = {
    "fit": ("seglight.commands.fit.cli", "train a net by a YAML recipe"),
    "validate": ("seglight.commands.fit.cli", "score a checkpoint on the validation split"),
    "test": ("seglight.commands.fit.cli", "score a checkpoint on the test split"),
    "pretrain": ("seglight.commands.pretrain", "train an encoder to tell the classes of images"),
    "predict": ("seglight.commands.predict.command", "write label maps for images or folders of images"),
    "sweep": ("seglight.commands.sweep.command", "search a space of recipes by many trainings"),
    "release": ("seglight.commands.release.command", "make of a checkpoint a folder that can be passed on"),
    "export": ("seglight.commands.export.command", "write a net as ONNX, OpenVINO or torch.export"),
    "soup": ("seglight.commands.soup", "the mean of the weights of several trainings of one net"),
    "scores": ("seglight.commands.scores", "what the scores of a run are made of, and by other conventions"),
    "summary": ("seglight.commands.summary", "what the net of a recipe costs, part by part"),
    "models": ("seglight.commands.models", "decoders and encoders to choose from, with their parameters"),
    "doctor": ("seglight.commands.doctor.command", "read a whole data set and say what is wrong with it"),
    "prepare": ("seglight.commands.prepare.command", "get a data set, or say how to get it by hand"),
    "cache": ("seglight.commands.cache", "decode a data set once, to train at the speed of the disk"),
}

HELP = """usage: seglight COMMAND [options]     (or: python -m seglight COMMAND [options])

Semantic image segmentation on PyTorch Lightning.

commands:
{commands}

  seglight COMMAND --help    the options of a command
  seglight --version         the version
  --debug                    after any command: show the traceback of an error
  --safe_recipe              after any command that reads a recipe: take classes of a few packages alone, and import
                             nothing else (docs/security.md)
"""


def help_text() -> str:
    """The commands, a line each."""
    return HELP.format(commands="\n".join(f"  {name:<10} {says}" for name, (_, says) in COMMANDS.items()))


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        The exit code: 0 done; 1 `doctor` found mistakes in the data, `predict` left inputs out, or the file of `export`
        failed its check; 2 the user's mistake, told in one line; 75 `fit` or `sweep` was told to stop, saved and left;
        130 Ctrl-C. That of `fit --seeds` is the first of its runs' that isn't 0.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    safe = "--safe_recipe" in args
    args = [arg for arg in args if arg not in ("--debug", "--safe_recipe")]
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(help_text())
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"seglight {__version__}\n")
        return 0
    try:
        return run_safely(args) if safe else run_command(args)
    except KeyboardInterrupt:
        if debug:
            raise
        say("stopped")
        return STOPPED
    except Exception as error:
        mistake = user_error_behind(error)
        if debug or mistake is None:
            raise
        sys.stderr.write(f"seglight: error: {one_line(mistake)}\n")
        return 2


def run_safely(args: list[str]) -> int:
    """Run a command whose recipe may be a stranger's."""
    from seglight.system.class_paths import safe_recipes  # which imports the parser

    with safe_recipes(True):
        return run_command(args)


def run_command(args: list[str]) -> int:
    """Import the module of a command and hand it the arguments; gives its exit code, 0 where it gives none.

    Raises:
        UserError: No such command, or the command's own.
    """
    if args[0] not in COMMANDS:
        raise UserError(f"unknown command '{args[0]}': use one of {', '.join(COMMANDS)}")
    several = args[0] == "fit" and any(arg.partition("=")[0] == "--seeds" for arg in args)
    code: int | None = import_module("seglight.commands.fit.seeds" if several else COMMANDS[args[0]][0]).main(args)
    return code or 0


def run() -> None:
    """Entry point of the console script."""
    sleep_at_barriers()
    write_anything()
    sys.exit(main())


if __name__ == "__main__":
    run()
