"""Images of many kinds, from files on disk to a served net: every command, as users type them one after the other.

Trial steps of `init` are made up here, and the net is tiny: `tests/commands/init` measures real ones.
"""

import csv
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

import seglight
from seglight.commands.init.question import Answer, Question
from seglight.commands.init.trials import Trials
from seglight.commands.serve.app import create_app
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from tests.support.command import Ran
from tests.support.fabricate_bands import KINDS
from tests.support.resumable import differences, final, kill_before_step, start, wait
from tests.support.served import serving, until

CLI = Callable[..., Ran]

NAMES = {
    "satellite": [f"B{number:02d}" for number in range(1, 9)] + ["B8A", "B09", "B11", "B12"],
    "aerial": ["red", "green", "blue", "band4"],
    "fluorescence": ["DAPI", "FITC", "TRITC", "Cy5"],
    "thermal": ["band1"],
    "one file a band": ["B04", "B08", "B11"],
}
"""Names of the bands that the files state, or that are made up for those that state none."""

SMALL = (
    "--model.net.encoder.name", "resnet10t", "--model.net.encoder.weights", "random", "--model.net.encoder.depth", "2",
    "--model.net.decoder.pyramid_channels", "32", "--model.net.decoder.channels", "32", "--model.optimizer.lr", "0.01",
    "--data.batch_size", "4", "--trainer.max_epochs", "10", "--trainer.check_val_every_n_epoch", "5",
    "--trainer.enable_progress_bar", "false",
    "--trainer.callbacks+=ExactCheckpoint", "--trainer.callbacks.every_n_steps", "35",
)  # fmt: skip
"""Options of `fit` for a net that learns in 60 steps; a checkpoint is written within an epoch."""

KILLED = 40
"""Step before which a training is killed: behind a validation at step 30 and the checkpoint of step 35."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a working directory of the test's own, and trial steps that take no time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def answer(self: Trials, question: Question) -> Answer:
        return Answer(0.5, 0.01, 10**9)

    monkeypatch.setattr(Trials, "_measured", answer)


def stored(path: Path, kind: str) -> NDArray[Any]:
    """Pixels (H, W, bands) of an image, by its file of the first band, as other libraries read them."""
    if kind == "satellite":
        with rasterio.open(path) as file:
            return np.moveaxis(file.read(), 0, -1)
    if kind == "one file a band":
        return np.stack([tifffile.imread(path.with_name(f"{path.name[:2]}_{name}.tif")) for name in NAMES[kind]], 2)
    pixels = tifffile.imread(path)
    return {"fluorescence": np.moveaxis(pixels, 0, -1), "thermal": pixels[..., None]}.get(kind, pixels)


def without_data(image: NDArray[Any], kind: str) -> NDArray[np.bool_]:
    """Values of an image that are no data."""
    return image == 0 if kind == "satellite" else np.isnan(image)


def first_files(root: Path, split: str, kind: str) -> list[Path]:
    """Images of a split, in order; the file of the first band stands for an image."""
    return sorted((root / "images" / split).glob("*_B04.tif" if kind == "one file a band" else "*"))


def check_what_init_wrote(root: Path, kind: str) -> None:
    """The bands in `classes.yaml` are those of the files, with the statistics of the training images."""
    text = Path("net/classes.yaml").read_text()
    assert text.startswith("# In the order of the files; mean and std in their units, of 24 training images.\nbands:")
    bands = yaml.safe_load(text)["bands"]
    values = np.concatenate(
        [stored(path, kind).reshape(-1, len(NAMES[kind])) for path in first_files(root, "train", kind)]
    )
    assert (bands["names"], bands["type"]) == (NAMES[kind], values.dtype.name)
    assert bands.get("nodata") == (0 if kind == "satellite" else None)
    assert bands.get("files") == ("{name}_{band}.tif" if kind == "one file a band" else None)
    data = values[~without_data(values, kind).all(1)].astype(float)
    assert bands["mean"] == pytest.approx(data.mean(0), rel=1e-4)
    assert bands["std"] == pytest.approx(data.std(0), rel=1e-4)


def trained(root: Path) -> Path:
    """Train, once as a whole and once killed and resumed, to the same end in every bit; returns the run folder."""
    args = ["fit", "-c", "net/recipe.yaml", *SMALL, "--run_dir"]
    whole, run = Path("net/whole"), Path("net/run")
    ends = [
        wait(start([*args, whole], Path("whole.log"))),
        wait(start([*args, run], Path("run.log"), partial(kill_before_step, KILLED))),
        wait(start([*args, run, "--resume"], Path("run.log"))),
    ]
    assert ends == [0, -signal.SIGKILL, 0], Path("whole.log").read_text() + Path("run.log").read_text()
    assert "resumed at step 35" in Path("run.log").read_text()
    assert differences(final(run), final(whole)) == []
    return run


def confusion(labels: list[NDArray[Any]], root: Path) -> list[list[int]]:
    """Confusion matrix of label maps of the validation images; what has no data is left out."""
    counts = np.zeros((2, 2), np.int64)
    for found, mask in zip(labels, sorted((root / "masks" / "val").iterdir()), strict=True):
        expected = np.asarray(Image.open(mask))
        np.add.at(counts, (expected[found != 255], found[found != 255]), 1)
    return counts.tolist()


def predicted(seglight_cli: CLI, model: Path, root: Path, kind: str, out: str) -> list[NDArray[Any]]:
    """Label maps of the validation images, in order; 255 is where, and only where, there is no data."""
    ran = seglight_cli("predict", model, root / "images" / "val", "--out", out, "--save", "csv", "overlay")
    assert ran.rc == 0, ran.err
    images = [stored(path, kind) for path in first_files(root, "val", kind)]
    labels = [np.asarray(Image.open(path)) for path in sorted(Path(out).glob("*.png"))]
    assert len(labels) == len(images) == 8
    for found, image in zip(labels, images, strict=True):
        np.testing.assert_array_equal(found == 255, without_data(image, kind).all(2))
    with Path(out, "shares.csv").open() as file:
        rows = list(csv.DictReader(file))
    objects = [np.count_nonzero(found == 1) / np.count_nonzero(found != 255) for found in labels]
    assert [float(row["class_1"]) for row in rows] == pytest.approx(objects, abs=1e-5)
    return labels


def check_maps(seglight_cli: CLI, checkpoint: Path, root: Path, labels: list[NDArray[Any]]) -> None:
    """Georeferenced label maps, polygons and areas lie where the images do."""
    ran = seglight_cli(
        "predict", checkpoint, root / "images" / "val", "--out", "maps", "--save", "geotiff", "polygons", "csv"
    )
    assert ran.rc == 0, ran.err
    for path, expected in zip(first_files(root, "val", "satellite"), labels, strict=True):
        with rasterio.open(path) as image, rasterio.open(f"maps/geotiff/{path.name}") as found:
            assert (found.crs, found.transform, found.bounds) == (image.crs, image.transform, image.bounds)
            assert found.nodata == 255
            np.testing.assert_array_equal(found.read(1), expected)
        pyogrio = pytest.importorskip("pyogrio")
        meta, _, _, fields = pyogrio.raw.read(f"maps/polygons/{path.stem}.gpkg", layer="regions")
        areas = dict.fromkeys((0, 1), 0.0)
        for index, area in zip(
            *(fields[list(meta["fields"]).index(key)] for key in ("class_index", "area_m2")), strict=True
        ):
            areas[int(index)] += float(area)
        assert areas == pytest.approx({value: 100.0 * np.count_nonzero(expected == value) for value in (0, 1)})
        assert meta["crs"] == "EPSG:32633"


def served(model: Path, path: Path, image: NDArray[Any], kind: str) -> NDArray[Any]:
    """The label map that a server answers for the file of an image, or its array where it is several files."""
    content = path.read_bytes()
    if kind == "one file a band":
        np.save("asked.npy", image)
        content = Path("asked.npy").read_bytes()
    settings = Settings()
    service = Service({"net": model}, settings, device="cpu")
    with (
        serving(create_app(service, settings), service) as running,
        httpx.Client(base_url=running.url, timeout=60) as ask,
    ):
        until(lambda: ask.get("/health/ready").status_code == 200)
        assert ask.get("/models").json()["models"][0]["bands"] == NAMES[kind]
        answer = ask.post("/predict", content=content, params={"format": "labels"})
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, np.uint8).reshape(image.shape[:2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_from_files_to_a_served_net(kind: str, tmp_path: Path, seglight_cli: CLI) -> None:
    root = KINDS[kind](tmp_path / "data")
    (root / "classes.yaml").unlink()

    def ran(*args: object) -> str:
        found = seglight_cli(*args)
        assert found.rc == 0, found.err
        return found.out

    said = ran("init", root, "--out", "net", "--time", "1m", "--device", "cpu")
    assert f"{len(NAMES[kind])} band" in said
    assert "Left out" not in said
    check_what_init_wrote(root, kind)
    recipe = ("-c", "net/recipe.yaml")
    bands = Path("net/classes.yaml").read_text().split("bands:\n")[1].split("images:\n")[0].split("images: ")[0]
    examined = ran("doctor", *recipe)
    if kind in ("satellite", "thermal"):  # a corner of each image is no data
        assert "hint no-data in train: pixels without data, which are ignored in training and scores" in examined
        assert "0 kinds of mistake, 2 of hint" in examined
    else:
        assert "nothing wrong was found" in examined
    assert f"bands:\n{bands}" in examined  # the lines to paste are those that init has written

    run = trained(root)
    checkpoint = run / "checkpoints" / "best.ckpt"
    scores = json.loads((run / "scores.json").read_text())
    assert scores["miou"] >= 0.95
    ran("validate", *recipe, *SMALL[:10], "--ckpt_path", checkpoint, "--run_dir", "validated")
    assert json.loads(Path("validated/scores.json").read_text())["confusion"] == scores["confusion"]

    labels = predicted(seglight_cli, checkpoint, root, kind, "masks")
    assert confusion(labels, root) == scores["confusion"]
    if kind == "satellite":
        check_maps(seglight_cli, checkpoint, root, labels)

    checked = ran("export", checkpoint, "--out", "net.onnx", "--check", root / "images" / "val")
    assert "100.000" in checked
    np.testing.assert_array_equal(predicted(seglight_cli, Path("net.onnx"), root, kind, "from_onnx"), labels)
    first = first_files(root, "val", kind)[0]
    image = stored(first, kind)
    for model in (Path("net.onnx"), checkpoint):
        net = seglight.load(model, device="cpu")
        np.testing.assert_array_equal(net.predict(first), labels[0])
        np.testing.assert_array_equal(net.predict(image), labels[0])
    np.testing.assert_array_equal(served(Path("net.onnx"), first, image, kind), labels[0])

    ran("card", run, "--out", "card")
    assert json.loads(Path("card/card.json").read_text())["score"]["miou"] == scores["miou"]
    assert len(list(Path("card/pictures").glob("*.png"))) >= 2
    assert "EncoderDecoder, 64x64" in ran("summary", *recipe, "--size", "64x64")
