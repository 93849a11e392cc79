"""`summary` of recipes, as a table and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seglight.commands.summary import summary_table
from seglight.models import TimmEncoder
from seglight.models.costs import Costs

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPE = ("-c", CONFIGS / "quickstart.yaml", "--model.net.init_args.encoder.init_args.name", "test_resnet")
SMALL = ("--model.net.init_args.decoder.init_args.pyramid_channels", 8)


def test_table_and_json_of_a_recipe(seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("summary", *RECIPE, *SMALL, "--size", "64x96", "--json")
    assert ran.rc == 0, ran.err
    rows = {row["part"]: row for row in json.loads(ran.out)}
    assert list(rows) == ["encoder", "decoder", "head", ""]
    assert rows["encoder"]["parameters"] == sum(p.numel() for p in TimmEncoder("test_resnet", None).parameters())
    assert rows["head"]["parameters"] == 8 * (64 + 1)
    assert rows["head"]["multiply_adds"] == 16 * 24 * 64 * 8
    for key in ("parameters", "multiply_adds", "activation_bytes"):
        assert rows[""][key] == sum(rows[part][key] for part in ("encoder", "decoder", "head"))
    assert rows[""]["strides"] == [4]


def test_the_table_has_one_row_per_part(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Costs("head", 520, 0, 2**20, [], None), Costs("", 3_430_000, 390_000_000, 2**21, [4, 8], None, 0.1)]
    Console(width=200).print(summary_table(rows, "title"))
    head, net = (line.split("│") for line in capsys.readouterr().out.splitlines() if "MiB" in line)
    assert [cell.strip() for cell in head[1:-1]] == ["head", "0.00 M", "-", "1.0 MiB", "-", "-"]
    assert [cell.strip() for cell in net[1:-1]] == ["net", "3.43 M", "0.39 G", "2.0 MiB", "4, 8", "2048+"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*RECIPE, "--size", "64"), "--size 64: give height x width in pixels"),
        (("-c", CONFIGS / "data" / "shapes.yaml"), "no net is given"),
        (("-c", CONFIGS / "model" / "fpn_resnet50.yaml"), "no data is given"),
        ((*RECIPE, "--model.net.init_args.decoder.init_args.chanels", 3), "chanels"),
    ],
    ids=["size", "net", "data", "key"],
)
def test_wrong_arguments(arguments: tuple[object, ...], message: str, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli("summary", *arguments)
    assert ran.rc == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("content", ["model: some.text\n", "model: [1]\n", "model: {net: [1]}\n", "model: true\n"])
def test_a_malformed_recipe(seglight_cli: Callable[..., Any], tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    ran = seglight_cli("summary", *RECIPE, "-c", path)
    assert (ran.rc, ran.err.count("\n")) == (2, 1)
    assert "model" in ran.err
