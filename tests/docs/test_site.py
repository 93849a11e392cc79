"""The manual: generated parts, pictures, tables of results; and, built, pages that load nothing from elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.support.pages import ROOT

DOCS = ROOT / "docs"
PICTURES = DOCS / "_static" / "pictures"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

ATTRIBUTE = r"""<(?!a\b|link rel="canonical")[^>]*\b(?:src|href)=["'](?:https?:)?//[^"']*"""
STYLE = r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^"')]*"""
LOADING = re.compile(f"{ATTRIBUTE}|{STYLE}")
"""What a browser fetches from another site by itself; links that a reader follows are no part of it."""


def module_of(folder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the manual, whose folders are on the path only while Sphinx runs."""
    monkeypatch.syspath_prepend(str(DOCS / folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


def test_the_script_draws_the_pictures_that_the_pages_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = module_of("_pictures", "draw", monkeypatch)
    assert {path.stem for path in PICTURES.glob("*.svg")} == set(draw.PICTURES)
    for name, drawn in draw.PICTURES.items():
        assert drawn().svg() == (PICTURES / f"{name}.svg").read_text("utf-8"), "run python docs/_pictures/draw.py"
        assert f"pictures/{name}.svg" in (DOCS / "concepts" / f"{name}.md").read_text("utf-8")


def test_the_script_draws_the_corruptions_of_the_task_page(monkeypatch: pytest.MonkeyPatch) -> None:
    script = module_of("_pictures", "corruptions", monkeypatch)
    with Image.open(script.PATH) as picture:
        lost = np.abs(np.asarray(picture).astype(int) - script.sheet()).mean()
    assert lost < 8, "run python docs/_pictures/corruptions.py"  # by JPEG
    assert "pictures/corruptions.jpg" in (DOCS / "tasks" / "robustness.md").read_text("utf-8")


def test_the_score_of_the_picture_is_right() -> None:
    """IoUs 10/12, 7/9 and 4/6, counted by hand in the two maps of the picture."""
    text = (PICTURES / "score.svg").read_text("utf-8")
    for words in ("10 / 12 = 0.833", "7 / 9 = 0.778", "4 / 6 = 0.667", "miou = mean of the three = 0.759"):
        assert words in text


def test_files_of_results_say_how_they_were_measured() -> None:
    for path in (DOCS / "results").glob("*.json"):
        record = json.loads(path.read_text("utf-8"))
        assert list(record) == ["benchmark", "command", "machine", "date", "commit", "rows"], path
        assert record["command"].startswith(f"python -m benchmarks {record['benchmark']}")
        assert re.fullmatch(r"[0-9a-f]{40}", record["commit"]), f"{path}: measured on changed files"
        assert record["rows"]


def test_the_table_of_the_example_of_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = module_of("_ext", "cards", monkeypatch)
    high = {"name": "sky", "iou": 0.9, "iou_interval": [0.88, 0.92], "boundary_iou": 0.5, "boundary_iou_interval": None}
    low = {"name": "car", "iou": 0.4, "iou_interval": [0.3, 0.5], "boundary_iou": None, "boundary_iou_interval": None}
    content = {
        "images": 7,
        "split": "val",
        "score": {"miou": 0.65, "miou_interval": [0.6, 0.7]},
        "classes": [{**high, "share": 0.75}, {**low, "share": 0.25}],
    }
    monkeypatch.setattr(cards, "CARD", tmp_path / "card.json")
    cards.CARD.write_text(json.dumps(content), "utf-8")
    assert cards.card_example("").splitlines() == [
        "Mean IoU on the 7 images of the val split: 0.650 [0.60, 0.70].",
        "",
        "| class | IoU, 95 % interval | boundary IoU, 95 % interval | share of pixels |",
        "| --- | --- | --- | --- |",
        "| car | 0.400 [0.30, 0.50] | - | 25.0% |",
        "| sky | 0.900 [0.88, 0.92] | 0.500 | 75.0% |",
    ]


def test_a_table_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = module_of("_ext", "results", monkeypatch)
    machine = {"cpu": "CPU X", "cores": 2, "devices": [], "python": "3.11.7", "torch": "2.10"}
    record = {
        "benchmark": "loss",
        "command": "python -m benchmarks loss",
        "machine": machine,
        "date": "2026-01-31",
        "commit": "a" * 40,
        "rows": {"one": {"ours_seconds": 0.01234, "memory": {"ours_bytes": 2.5e9}}, "two": {"ours_seconds": 1.5}},
    }
    (tmp_path / "loss.json").write_text(json.dumps(record))
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    assert results.result_table("loss.json").splitlines() == [
        "| | ours (ms) | memory, ours (MB) |",
        "| --- | --- | --- |",
        "| one | 12.3 | 2,500 |",
        "| two | 1,500 |  |",
        "",
        "`python -m benchmarks loss` on 2026-01-31, CPU X (2 cores, no GPU), Python 3.11.7, torch 2.10, "
        "commit `aaaaaaaaaa`.",
    ]


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    """The built manual: that of `.ci/run` if there is one, as MANUAL says."""
    if "MANUAL" in os.environ:
        yield Path(os.environ["MANUAL"])
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-b", "html", str(DOCS), folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stderr
        yield Path(folder)


@pytest.mark.slow
def test_pages_load_nothing_from_other_sites(site: Path) -> None:
    """Stylesheets, scripts, pictures and fonts are local; only links that a reader follows lead elsewhere."""
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 50
    found = {f"{page.name}: {hit[0]}" for page in pages for hit in LOADING.finditer(page.read_text("utf-8"))}
    assert not found


def test_what_other_sites_would_serve_is_recognised() -> None:
    for text in ('<script src="https://a.org/x.js">', "<link href='//a.org/x.css'>", "@import 'http://a.org/x.css'"):
        assert LOADING.search(text)
    assert not LOADING.search('<a href="https://a.org">')


@pytest.mark.slow
def test_the_reference_has_every_command_and_public_name(site: Path) -> None:
    from seglight.__main__ import COMMANDS

    assert {page.stem for page in (site / "reference" / "commands").glob("*.html")} == {*COMMANDS, "seglight"}
    names = (site / "genindex.html").read_text("utf-8")
    for name in ("seglight.losses.Dice", "seglight.data.FolderDataModule", "seglight.fit", "seglight.interfaces.Loss"):
        assert f"#{name}" in names
    recipes = (site / "reference" / "recipes.html").read_text("utf-8")
    for name in ("seglight.models.decoders.UNet", "seglight.callbacks.EMA", "torch.optim.AdamW"):
        assert name in recipes


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_search_finds_a_page_in_a_browser(site: Path, tmp_path: Path) -> None:
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/search.html?q=sliding+window"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
        command = [str(CHROMIUM), *options, "--virtual-time-budget=20000", "--dump-dom", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        server.shutdown()
    results = re.findall(r'<li[^>]*><a href="([^"?#]+)[^"]*"', done.stdout.partition('id="search-results"')[2])
    assert "reference/api/inference.html" in results


class _Quiet(SimpleHTTPRequestHandler):
    """A server without a log."""

    def log_message(self, *args: object) -> None: ...
