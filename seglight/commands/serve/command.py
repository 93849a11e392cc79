"""Serve models over HTTP: for programs, a page in the browser, and labelling tools.

  seglight serve camvid=runs/camvid roads.onnx
  curl --fail-with-body --data-binary @street.jpg http://127.0.0.1:8000/predict -o labels.png

A model is a checkpoint of `seglight fit` or its run folder, a folder of `seglight release`, or a file of `seglight
export`; an ONNX file needs no torch. The first one is the default. A file that is replaced is loaded again.

One process answers requests; --workers processes decode, predict and encode. The server listens on this machine only,
unless --host names another address; with --token, a request needs the secret in FILE. SIGTERM or Ctrl-C ends the server
once the images that it has accepted are answered.

Exit code: 0 after SIGTERM, 130 after Ctrl-C, 2 for wrong usage or a model that can't be loaded.
"""

from argparse import RawDescriptionHelpFormatter

from jsonargparse import DefaultHelpFormatter
from jsonargparse.typing import NonNegativeInt, PositiveInt

from seglight.commands.serve.run import run
from seglight.system.parsing import new_parser, parse_arguments


class _Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def main(args: list[str]) -> int:
    """Run `serve` until a signal ends it, and return the exit code.

    Raises:
        UserError: The arguments are wrong, the port is taken, or a model can't be loaded.
    """
    parser = new_parser("serve", __doc__, formatter_class=_Help)
    parser.add_argument("models", type=str, nargs="+", metavar="[NAME=]MODEL", help="models that predict, see above")
    parser.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on; 0.0.0.0: all of them")
    parser.add_argument("--port", type=NonNegativeInt, default=8000, help="port to listen on; 0: any that is free")
    parser.add_argument("--token", type=str | None, default=None, metavar="FILE", help="file with the secret")
    parser.add_argument("--workers", type=PositiveInt, default=1, help="processes that predict, which share the cores")
    parser.add_argument("--batch", type=PositiveInt, default=8, help="images of one size that are passed together")
    parser.add_argument("--wait", type=str, default="5ms", help="longest time that an image waits for others")
    parser.add_argument(
        "--max_memory",
        type=str | None,
        default=None,
        help="memory limit of all processes, such as 2GB: larger images are predicted by windows, or refused",
    )
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, ..., or auto: a GPU if there is one")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages that a checkpoint may name")
    parser.add_argument(
        "--allow_hosts",
        type=str,
        nargs="+",
        default=[],
        metavar="HOST",
        help="hosts of Label Studio's images, its own first, which gets the key LABEL_STUDIO_API_KEY",
    )
    return run(parse_arguments(parser, args[1:]))
