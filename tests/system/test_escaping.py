"""Names of every kind, shown on every surface: as they are written, without doing anything.

Covers: commands.predict.class_fractions, system.terminal.
"""

import ast
import csv
import html as html_of
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console
from rich.table import Table
from torch import ones
from torch.utils.tensorboard import SummaryWriter

from seglight.callbacks.confusion_figure import confusion_figure
from seglight.checkpoints.model_card import KEY, Provenance
from seglight.commands.predict.class_fractions import ClassFractions
from seglight.commands.release.readme import readme
from seglight.errors import UserError, one_line, say
from seglight.system import escaping
from seglight.system.terminal import Name, plain_console
from tests.support import fabricate
from tests.support.checkpoint_files import card

NAMES = (
    "[/]", "[bold]x", "\x1b[31mred\x1b[0m", "<script>alert(1)</script>", "=1+1", "a\nb|c", ":smile:", "$x_{",
    "a/b {c}", "`code` *b* _i_", "[x](http://e.com)", "\u0441\u0442\u043e\u043b", "\u202eabc", "\udcff", "x\x9b1m", "",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name, [/] <b>", "plain name, [/] <b>"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b1m\x7f", "\\x9b1m\\x7f"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u2028\u0085", "\\u2028\\x85"),
        ("caf\udce9", "caf\udce9"),  # a byte of a file's name, Latin-1's
        ("\udc9b1m", "\\x9b1m"),  # one that some terminals obey
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
    ],
)
def test_terminal(text: str, shown: str) -> None:
    assert escaping.terminal(text) == shown


def test_say_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "seglight: a\\x1b[2Jb\\nc\n"
    assert one_line(UserError("a\x1b[2J \n b")) == "a\\x1b[2J b"


@pytest.mark.parametrize("console", [plain_console, Console])
def test_tables(console: Callable[..., Console]) -> None:
    """Also with rich's own console, which has markup."""
    printer = console(width=200)
    printer.file = StringIO()
    table = Table()
    table.add_column(Name("[red]heading"))
    for name in NAMES:
        table.add_row(Name(name))
    printer.print(table)
    lines = printer.file.getvalue().splitlines()
    assert "[red]heading" in lines[1]
    shown = [line[1:-1].strip() for line in lines[3:-1]]
    assert shown == [escaping.encodable(escaping.terminal(name), printer.file).strip() for name in NAMES]
    assert len({len(line) for line in lines}) == 1


def test_lines_of_a_console() -> None:
    printer = plain_console(width=20)
    printer.file = StringIO()
    printer.print("[bold]a \x1b[31m :smile: " + "x" * 40 + "\nb")
    assert printer.file.getvalue() == "[bold]a \\x1b[31m :smile: " + "x" * 40 + "\nb\n"


@pytest.mark.parametrize("name", NAMES)
def test_no_markup_is_left(name: str) -> None:
    card = escaping.markdown(name)
    assert "\n" not in card
    assert not {"<", ">", "\x1b"} & set(card)
    page = escaping.html(name)
    assert not {"<", ">", "\x1b", '"'} & set(page)
    assert html_of.unescape(page) == escaping.terminal(name, "\n\t").encode(errors="replace").decode()


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("traffic_light", "traffic_light"),
        ("_a_ *b*", "\\_a\\_ \\*b\\*"),
        ("[x](http://e.com)", "\\[x\\](http:&#47;&#47;e.com)"),
        ("a|b\nc", "a\\|b\\\\nc"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
    ],
)
def test_markdown_by_hand(text: str, card: str) -> None:
    assert escaping.markdown(text) == card


def test_model_card() -> None:
    count = len(NAMES)
    encoder = {"class_path": "x.E", "init_args": {"name": "<i>\n# x"}}
    net = {"class_path": "a.<b>Net", "init_args": {"e": encoder}}
    origin = Provenance(step=1, parameters=1, loss="x.<b>Loss")
    text = readme(replace(card(NAMES, net=net), provenance=origin), 'fold"er\n```\x1b')
    assert 'seglight.load("fold\\"er\\n```\\u001b")' in text
    assert not {"<", "\x1b", "\u202e", "\x9b"} & set(text)
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {index}" for index in range(count)]


def test_csv_holds_no_formula(tmp_path: Path) -> None:
    table = ClassFractions(["=1+1", "road", "@x"])
    table.add("-cmd|' /C calc'!A0.png", np.zeros((2, 2), np.uint8))
    table.add("plain.png", np.zeros((2, 2), np.uint8))
    table.write(tmp_path / "shares.csv")
    with (tmp_path / "shares.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "'=1+1", "road", "'@x"]
    assert [row[0] for row in rows[1:]] == ["'-cmd|' /C calc'!A0.png", "plain.png"]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_figure_of_any_names() -> None:
    figure = confusion_figure(ones(len(NAMES), len(NAMES)).long(), NAMES)
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes[0].get_yticklabels()) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_tag_of_tensorboard(name: str, tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar(f"val/iou/{escaping.tag(name)}", 0.5)
    assert escaping.tag("road, wet") == "road, wet"


def test_plotly() -> None:
    assert escaping.plotly('<a href="http://e.com">x</a><br>y<extra></extra>') == (
        '&lt;a href="http://e.com">x&lt;/a><br>y<extra></extra>'
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_streams_write_anything(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding))
    escaping.write_anything()
    sys.stdout.write("\xb1 \u2022 \u0441 \udce9 \ud800")
    sys.stdout.flush()
    expected = {
        "ascii": b"+- * \\u0441 \xe9 \\ud800",
        "latin-1": b"\xb1 * \\u0441 \xe9 \\ud800",
        "utf-8": b"\xc2\xb1 \xe2\x80\xa2 \xd1\x81 \xe9 \\ud800",
    }
    assert raw.getvalue() == expected[encoding]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A recipe on a data set whose classes have odd names; a comment is not ASCII."""
    data = fabricate.folder(tmp_path / "data", size=(36, 48))
    classes = [{"name": name, "color": [10 * k, 20, 30]} for k, name in enumerate(NAMES)]
    (data / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": classes}))
    init_args = {"root": str(data), "num_workers": 0, "batch_size": 1, "augmentation": {"crop_size": 32}}
    recipe = {
        "trainer": {"accelerator": "cpu", "max_steps": 4, "log_every_n_steps": 1},
        "model": {"net": {"class_path": "tests.support.tiny.TinyNet"}},
        "data": {"class_path": "seglight.data.FolderDataModule", "init_args": init_args},
    }
    path = tmp_path / "odd.yaml"
    path.write_text(f"# \u00dcbung\n{yaml.safe_dump(recipe)}", encoding="utf-8")
    return path


def commands(recipe: Path) -> list[list[str]]:
    """Those that show names, a sweep of one trial's recipe last."""
    run, folder = recipe.parent / "run", recipe.parent
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    image = str(folder / "data" / "images" / "val" / "000.png")
    return [
        ["doctor", "--config", str(recipe)],
        ["fit", "--config", str(recipe), "--run_dir", str(run)],
        ["validate", "--config", str(recipe), "--run_dir", str(run), "--ckpt_path", checkpoint],
        ["scores", "audit", str(run)],
        ["summary", "--config", str(recipe), "--size", "32x32"],
        ["release", checkpoint, "--out", str(folder / "released"), "--trust", "tests"],
        [
            "predict",
            str(folder / "released"),
            image,
            "--out",
            str(folder / "masks"),
            "--save",
            "csv",
            "--trust",
            "tests",
        ],
    ]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_odd_names_in_every_command(
    odd: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for args in commands(odd):
        ran = seglight_cli(*args)
        assert ran.rc == 0, (args, ran.err)
        assert not {"\x1b", "\x9b", "\u202e"} & set(ran.out + ran.err), args
        if args[0] in ("doctor", "validate"):
            assert all(escaping.terminal(name).replace("\udcff", "\\udcff") in ran.out for name in NAMES)
    run = odd.parent / "run"
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    keys = {key for line in logged for key in line}
    assert {f"val/iou/{escaping.tag(name)}" for name in NAMES} <= keys
    scores = json.loads((run / "scores.json").read_text())
    assert list(scores["iou"]) == list(NAMES)


def test_odd_names_of_files(odd: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    images = odd.parent / "data" / "images" / "train"
    (images / "[red]\x1b[2J:x:.png").write_bytes((images / "000.png").read_bytes())
    ran = seglight_cli("doctor", "--config", odd)
    assert ran.rc == 1
    assert "[red]\\x1b[2J:x:.png" in ran.out
    ran = seglight_cli("fit", "--config", odd, "--run_dir", odd.parent / "run")
    assert ran.rc == 2
    assert "[red]\\x1b[2J:x:.png" in ran.err
    assert "\x1b" not in ran.out + ran.err


def test_odd_names_of_a_checkpoint_in_an_error(odd: Path, seglight_cli: Callable[..., Any]) -> None:
    content = {KEY: card(["\x1b[31ma", "[/b]"]).to_dict(), "state_dict": {"net.x": ones(1)}, "global_step": 1}
    torch.save(content, odd.parent / "a.ckpt")
    ran = seglight_cli("validate", "--config", odd, "--ckpt_path", odd.parent / "a.ckpt")
    assert ran.rc == 2
    assert "(\\x1b[31ma, [/b], ...)" in ran.err
    assert "\x1b" not in ran.err


def text_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that read or write a text file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            opens = node.func.attr == "open" and "b'" not in (mode := ast.unparse(node)) and "'rb" not in mode
            owner = ast.unparse(node.func.value)
            if node.func.attr in ("read_text", "write_text") or (opens and owner not in ("Image", "os", "tarfile")):
                yield node


TREES = {path: ast.parse(path.read_text("utf-8")) for path in Path(escaping.__file__).parent.rglob("*.py")}


def test_text_is_utf_8() -> None:
    without = [
        f"{path}:{call.lineno}: {ast.unparse(call)}"
        for path, tree in TREES.items()
        for call in text_calls(tree)
        if "encoding" not in {keyword.arg for keyword in call.keywords}
        and ast.unparse(call.func) not in ("self.open", "writer.open")
    ]
    assert not without, "encoding='utf-8' is missing: the locale's own may be ASCII"


def test_every_console_is_plain() -> None:
    calls = [(path, n) for path, tree in TREES.items() for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert not [f"{path}:{call.lineno}" for path, call in calls if ast.unparse(call.func) == "Console"]


ROOT = Path(__file__).parents[2]
CHILD = """
import json, sys
from seglight.__main__ import main
from seglight.system.escaping import write_anything
write_anything()
for args in json.loads(sys.stdin.read()):
    code = main(args)
    if code:
        sys.exit(f"{args}: {code}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_that_are_not_utf_8(encoding: str, odd: Path) -> None:
    """Every command in one process of a locale without UTF-8, and each ends with 0."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONIOENCODING", "LANG", "LC_CTYPE")}
    env |= {"LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "120", "FORCE_COLOR": "1", "PYTHONPATH": str(ROOT)}
    if encoding == "latin-1":
        env["PYTHONIOENCODING"] = "latin-1"
    todo = json.dumps([*commands(odd), ["models", "resnest"]]).encode()
    done = subprocess.run([sys.executable, "-c", CHILD], input=todo, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    said = (done.stdout + done.stderr).decode(encoding, "surrogateescape")
    assert "\\u0441\\u0442\\u043e\\u043b" in said
    assert "Epoch" in said  # the progress bar
    assert "Traceback" not in said
