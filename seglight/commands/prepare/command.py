"""Download, check, unpack and verify a data set, or explain how to fetch it by hand.

The authors' terms of use apply. Downloaded archives are deleted when the data set is verified.
"""

import shlex
from pathlib import Path

from seglight.commands.prepare import ade20k, camvid, cityscapes, pet, prepared, sbd, voc
from seglight.errors import UserError
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.terminal import plain_console

DATA_SETS = {
    "camvid": camvid.DATA_SET,
    "voc": voc.DATA_SET,
    "sbd": sbd.DATA_SET,
    "pet": pet.DATA_SET,
    "cityscapes": cityscapes.DATA_SET,
    "ade20k": ade20k.DATA_SET,
}


def prepare(name: str, root: str, mirror: str | None = None) -> None:
    """Prepare a data set in a folder that `fit` accepts as its root, resuming an interrupted run.

    Args:
        name: Key of DATA_SETS.
        root: Folder of the data set; for `sbd` that of VOC 2012.
        mirror: URL that is tried before the known ones: of the archive, or of the folder that contains it.

    Raises:
        UserError: See `prepared`.
    """
    data, folder = DATA_SETS[name], Path(root)
    if data.nested and (folder / data.nested).is_dir():
        folder /= data.nested
    new = prepared(data, folder, mirror)
    images = ", ".join(f"{count} {split}" for split, count in data.images.items())
    console = plain_console()
    console.print(f"{data.title} {'is' if new else 'was already'} in {folder}, {images} images. To train on it:")
    console.print(f"seglight fit {data.fit} --data.root {shlex.quote(str(folder))}")


def main(args: list[str]) -> None:
    """Run `prepare`.

    Raises:
        UserError: See `prepare`, or the arguments are wrong, or the command is interrupted.
    """
    parser = new_parser("prepare", __doc__)
    parser.add_argument("name", choices=list(DATA_SETS), help=f"the data set: {', '.join(DATA_SETS)}")
    parser.add_argument("--root", type=str, required=True, help="folder of the data set; for sbd that of VOC 2012")
    parser.add_argument("--mirror", type=str, help="URL to try first: of the archive, or of the folder with it")
    config = parse_arguments(parser, args[1:])
    try:
        prepare(config.name, config.root, config.mirror)
    except KeyboardInterrupt as error:
        raise UserError("interrupted: what was received is kept: run the command again to resume") from error
