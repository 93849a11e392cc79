"""Measure the costs of a recipe's net: parameters, multiply-adds, memory and receptive field by part, and time."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import torch
from rich.table import Table
from torch import nn

from seglight.checkpoints.net_config import without_encoder_weights
from seglight.commands.recipe import instantiate, parse_recipe
from seglight.errors import UserError
from seglight.interfaces import NetFactory
from seglight.models.bands import use_bands
from seglight.models.costs import SIGHT, Costs, costs
from seglight.models.ensemble import in_full
from seglight.system.parsing import new_parser, parser_errors, size_of
from seglight.system.terminal import Name, plain_console

NOTE = f"""Multiply-adds and activations are those of one image. Activations: memory that a training step keeps for its
backward pass. Receptive field: rows of the image that the centre of the part's last output can depend on; {SIGHT[0]}+:
this many or more."""


def summary_table(rows: Sequence[Costs], title: str) -> Table:
    """Table with a row per part, the whole net last."""
    table = Table(title=title)
    for heading in ("part", "parameters", "multiply-adds", "activations", "stride", "receptive field"):
        table.add_column(heading, justify="left" if heading == "part" else "right", no_wrap=True)
    for row in rows:
        field = "-" if not row.strides else f"{SIGHT[0]}+" if row.receptive_field is None else str(row.receptive_field)
        table.add_row(
            Name(row.part or "net"),
            f"{row.parameters / 1e6:.2f} M",
            f"{row.multiply_adds / 1e9:.2f} G" if row.strides else "-",
            f"{row.activation_bytes / 2**20:.1f} MiB",
            ", ".join(map(str, row.strides)) or "-",
            field,
            style=None if row.part else "bold",
        )
    return table


def summary(net: nn.Module, size: tuple[int, int], as_json: bool = False) -> list[Costs]:
    """Measure a net and print the table.

    Args:
        net: Net that takes images (1, bands, H, W).
        size: Height and width of the image.
        as_json: Whether to print a JSON list of parts instead.

    Raises:
        UserError: The net does not accept images of this size.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        rows = costs(net, size, device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--size {size[0]}x{size[1]}: the net does not accept images of this size ({reason}): give another size"
        ) from error
    console = plain_console(width=None if sys.stdout.isatty() else 120)
    if as_json:
        console.print_json(json.dumps([asdict(row) for row in rows]), ensure_ascii=True)
        return rows
    console.print(summary_table(rows, f"{type(net).__name__}, {size[0]}x{size[1]} (height x width)"), soft_wrap=False)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    console.print(f"{rows[-1].seconds:.3f} s per image on {device.type} ({name})\n{NOTE}")
    return rows


def main(args: list[str]) -> None:
    """Run `summary`.

    Raises:
        UserError: As for `summary`, or the arguments or the recipe are wrong.
    """
    parser = new_parser("summary", __doc__)
    parser.add_argument("--model.net", type=NetFactory, help="as in `fit`")
    parser.add_argument("--model.channels_last", type=bool | Literal["auto"], default=False, help="as in `fit`")
    parser.add_argument("--size", type=str, default="512x512", help="height x width of the image")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parse_recipe(parser, args[1:], ("model.net", "model.channels_last"))
    size = size_of(options.size)
    if options.model.net is None:
        raise UserError(
            "no net is given: give --config FILE, a recipe with a model: part (see `seglight summary --help`)"
        )
    options.model.net = without_encoder_weights(in_full(options.model.net.as_dict()))
    with parser_errors():
        built = instantiate(parser, options)
        net = built.model.net(built.data.num_classes)
        use_bands(net, built.data.bands)
    memory_format = torch.channels_last if options.model.channels_last is True else torch.contiguous_format
    summary(net.to(memory_format=memory_format), size, options.json)
