"""`python -m seglight`: dispatches each command to its module; `--help` and `--version` import nothing heavy."""

import sys
from importlib import import_module

from seglight import __version__
from seglight.errors import STOPPED, UserError, one_line, say, user_error_behind
from seglight.system.collector import command_imports
from seglight.system.escaping import write_anything
from seglight.system.safe_recipe import safe_recipes
from seglight.system.threads import sleep_at_barriers

COMMANDS = {
    "init": ("seglight.commands.init.command", "look at a labelled data set and write a recipe for it"),
    "fit": ("seglight.commands.fit.command", "train a net from a YAML recipe"),
    "validate": ("seglight.commands.fit.command", "score a checkpoint on the validation split"),
    "test": ("seglight.commands.fit.command", "score a checkpoint on the test split"),
    "pretrain": ("seglight.commands.pretrain", "train an encoder to classify images"),
    "predict": ("seglight.commands.predict.command", "write label maps for images or folders of images"),
    "serve": ("seglight.commands.serve.command", "answer requests over HTTP with label maps of images"),
    "sweep": ("seglight.commands.sweep.command", "search a space of recipes with many trainings"),
    "release": ("seglight.commands.release.command", "write a checkpoint as a folder to distribute"),
    "export": ("seglight.commands.export.command", "write a net as ONNX, OpenVINO or torch.export"),
    "soup": ("seglight.commands.soup", "average the weights of several trainings of one net"),
    "card": ("seglight.commands.card.command", "measure a net on a split: a page, numbers and pictures"),
    "scores": ("seglight.commands.scores", "compute the scores of a run by the conventions of other libraries"),
    "compare": ("seglight.commands.compare.command", "compare trainings or nets on one split, with intervals"),
    "summary": ("seglight.commands.summary", "show parameters and operations of the net of a recipe"),
    "models": ("seglight.commands.models", "list the available decoders and encoders"),
    "doctor": ("seglight.commands.doctor.command", "check a whole data set and report what is wrong with it"),
    "prepare": ("seglight.commands.prepare.command", "download a data set, or explain how to get it"),
    "cache": ("seglight.commands.cache", "decode a data set once, to train at the speed of the disk"),
    "completion": ("seglight.commands.completion", "print a script that completes commands and options in a shell"),
}

HELP = """usage: seglight COMMAND [options]     (or: python -m seglight COMMAND [options])

Semantic image segmentation on PyTorch Lightning.

commands:
{commands}

  seglight COMMAND --help    the options of a command
  seglight --version         the version
  --debug                    after any command: show the traceback of an error
  --safe_recipe              after any command that reads a recipe: accept only classes of a few
                             packages, and import nothing else (page Safety of the manual)
"""


def help_text() -> str:
    """Text of `--help`, with a line for each command."""
    return HELP.format(commands="\n".join(f"  {name:<10} {about}" for name, (_, about) in COMMANDS.items()))


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        The exit code: 0 success; 1 `doctor` found mistakes in the data, `predict` skipped inputs, or the file of
        `export` failed its check; 2 an error of the user, explained in one line; 75 `fit` or `sweep` received a signal,
        saved and ended; 130 Ctrl-C. `fit --seeds` returns the first code of its runs that isn't 0.
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
    """Run a command whose recipe may come from an untrusted source."""
    with safe_recipes(True):
        return run_command(args)


def check_arguments(args: list[str]) -> None:
    """Check the arguments of a command, as far as nothing heavy is needed for it.

    Raises:
        UserError: One is wrong.
    """
    from seglight.system.help_pages import asks_help

    if not asks_help(args):
        from seglight.commands.early import check_early  # which imports the parser of YAML

        check_early(args)


def run_command(args: list[str]) -> int:
    """Import the module of a command and run it with the arguments; return its exit code, 0 if it returns none.

    Raises:
        UserError: There is no such command, or the command raised it.
    """
    if args[0] not in COMMANDS:
        from seglight.system.hints import did_you_mean

        similar = did_you_mean(args[0], COMMANDS)
        use = f"{similar} Use" if similar else ": use"
        raise UserError(f"unknown command '{args[0]}'{use} one of {', '.join(COMMANDS)}")
    check_arguments(args)
    several = args[0] == "fit" and any(arg.partition("=")[0] == "--seeds" for arg in args)
    with command_imports():
        module = import_module("seglight.commands.fit.seeds" if several else COMMANDS[args[0]][0])
    code: int | None = module.main(args)
    return code or 0


def run() -> None:
    """Entry point of the console script."""
    sleep_at_barriers()
    write_anything()
    sys.exit(main())


if __name__ == "__main__":
    run()
