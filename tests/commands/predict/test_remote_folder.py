"""`predict` from and to an S3 server, compared with `predict` from and to folders, through a network that fails.

Covers: commands.predict.destination, commands.predict.remote_inputs.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.predict.inputs import find
from tests.support.command import Ran
from tests.support.exported import red
from tests.support.object_storage import Fault, ObjectStorage, object_storage, reach, s3_server

CLI = Callable[..., Ran]
KINDS = ("overlay", "csv", "coco", "coco_polygons")


def noise(seed: int, size: tuple[int, int] = (20, 30)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def tree(folder: Path) -> dict[str, Path]:
    """Files of a folder by their paths below it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(server: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    with object_storage(server, f"bucket-{abs(hash(request.node.name))}") as bucket:
        reach(bucket, monkeypatch)
        yield bucket


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return red(tmp_path / "red.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    save(folder / "a.png", noise(0))
    save(folder / "town" / "b.v2 [1].png", noise(1, (7, 9)))
    save(folder / "town" / "c#?.png", noise(2))
    save(folder / "town" / "c_mask.png", noise(2)[..., 0])
    save(folder / "town" / "c.png", noise(3))
    (folder / "notes.txt").write_text("no image")
    return folder


def copied(bucket: ObjectStorage, folder: Path, below: str) -> str:
    """The address of a copy of a folder."""
    for name, path in tree(folder).items():
        bucket.put(f"{below}/{name}", path.read_bytes())
    return f"{bucket.url}/{below}"


def without_provenance(data: bytes) -> bytes:
    """A PNG without its text."""
    start = data.index(b"tEXt") - 4
    return data[:start] + data[start + 12 + int.from_bytes(data[start : start + 4]) :]


def check_same(bucket: ObjectStorage, below: str, folder: Path) -> None:
    """Check that the objects of a folder are the files of another, up to the provenance of label maps."""
    expected = tree(folder)
    assert bucket.keys(f"{below}/") == sorted(f"{below}/{name}" for name in expected)
    for name, path in expected.items():
        stored, written = bucket.get(f"{below}/{name}"), path.read_bytes()
        if name.endswith(".png"):
            stored, written = without_provenance(stored), without_provenance(written)
        assert stored == written, name


def test_the_same_files_as_in_a_folder(
    bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    address = copied(bucket, images, "in/images")
    local = seglight_cli("predict", model, images, "--save", *KINDS, "--out", tmp_path / "out")
    ran = seglight_cli("predict", model, address, "--save", *KINDS, "--out", f"{bucket.url}/masks/")
    assert ran.rc == local.rc == 0, ran.err
    assert ran.out == f"4 label maps in {bucket.url}/masks/\n"
    assert ran.err == local.err.replace(str(images), address), "masks beside images are left out of both"
    check_same(bucket, "masks", tmp_path / "out")
    mixed = seglight_cli("predict", model, address, "--save", *KINDS, "--out", tmp_path / "mixed")
    assert mixed.rc == 0, mixed.err
    check_same(bucket, "masks", tmp_path / "mixed")
    mixed = seglight_cli("predict", model, images, "--save", *KINDS, "--out", f"{bucket.url}/mixed")
    assert mixed.rc == 0, mixed.err
    check_same(bucket, "mixed", tmp_path / "out")


def test_what_is_done_is_not_even_read(
    bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    assert seglight_cli("predict", model, address, "--out", out).rc == 0
    bucket.faults.requests.clear()
    ran = seglight_cli("predict", model, address, "--out", out)
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}, 4 of them from before\n")
    assert bucket.faults.count("PUT") == 0
    assert not [request for request in bucket.faults.requests if request.method == "GET" and "/in/" in request.path], (
        "no image is fetched"
    )
    bucket.client.delete_object(Bucket=bucket.bucket, Key="masks/a.png")
    bucket.put("in/town/c.png", (images / "a.png").read_bytes())
    bucket.faults.requests.clear()
    ran = seglight_cli("predict", model, address, "--save", "overlay", "--out", out)
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}, 2 of them from before\n")
    written = {request.path for request in bucket.faults.requests if request.method == "PUT"}
    assert {path.partition("?")[0] for path in written if "/overlay/" not in path} == {
        f"/{bucket.bucket}/masks/a.png",
        f"/{bucket.bucket}/masks/town/c.png",
    }
    expected = {"a.png": noise(0), "town/c.png": noise(0), "town/b.v2 [1].png": noise(1, (7, 9))}
    for name, pixels in expected.items():
        (tmp_path / "mask.png").write_bytes(bucket.get(f"masks/{name}"))
        assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), pixels[..., 0] > 127)
    assert len(bucket.keys("masks/overlay/")) == 4


@pytest.mark.slow
def test_a_provenance_that_is_very_long(
    bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.predict.remote_folder.HEAD", 64)
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    assert seglight_cli("predict", model, address, "--out", out).rc == 0
    ran = seglight_cli("predict", model, address, "--out", out)
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}, 4 of them from before\n")


@pytest.mark.slow
def test_what_another_model_made_is_made_again(
    bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI
) -> None:
    """Nothing that the other has made is left beside its label maps, even if it is not asked for again."""
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    assert seglight_cli("predict", model, address, "--save", "overlay", "--out", out).rc == 0
    before = {key: bucket.get(key) for key in bucket.keys("masks/")}
    ran = seglight_cli("predict", model, address, "--out", out, "--max_memory", "8GB")
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}\n"), ran.err
    after = {key: bucket.get(key) for key in bucket.keys("masks/")}
    assert after.keys() == {key for key in before if "/overlay/" not in key}
    assert all(before[key] != after[key] for key in after), "the provenance tells it"


@pytest.mark.slow
def test_objects_of_others_stay(bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI) -> None:
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    bucket.put("masks/a.png", (images / "a.png").read_bytes())
    bucket.put("masks/town/c.png", b"")
    ran = seglight_cli("predict", model, address, "--out", out)
    says = "exists and was not written by `seglight predict`: move it, or choose another --out"
    assert ran.rc == 1
    assert [line for line in ran.err.splitlines() if "failed" in line] == [
        f"seglight: failed: {out}/{name}: {says}" for name in ("a.png", "town/c.png")
    ]
    assert bucket.get("masks/a.png") == (images / "a.png").read_bytes()


@pytest.mark.slow
def test_failures_name_the_address(bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", noise(0)).read_bytes()
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((9, 9), np.uint16))
    deep = (tmp_path / "deep.tif").read_bytes()
    contents = {"a.png": good[:60], "b.png": good, "c.tif": b"II*\0nothing", "d.tif": deep, "e.avi": b"no video",
                "f.png": good}  # fmt: skip
    for name, data in contents.items():
        bucket.put(f"in/{name}", data)
    bucket.faults.planned = [Fault("500", "GET", "/in/f.png", times=10_000)]
    ran = seglight_cli("predict", model, f"{bucket.url}/in", "--out", tmp_path / "out")
    assert ran.rc == 1
    lines = ran.err.splitlines()
    assert len(lines) == 5
    for line, name in zip(lines, ("a.png", "c.tif", "d.tif", "e.avi", "f.png"), strict=True):
        assert line.startswith(f"seglight: failed: {bucket.url}/in/{name}: ")
        assert "/seglight-" not in line, "no temporary file"
    assert tree(tmp_path / "out").keys() == {"b.png"}


MISTAKES = (
    ("{}/nothing", "{}/masks", "{}/nothing: no such object or folder: check the address"),
    ("{}/in/*.jpg", "{}/masks", "{}/in/*.jpg: no file matches this glob (.png"),
    ("s3://*/in", "{}/masks", "s3://*/in: wildcards stand behind the name of the bucket"),
    ("{}/in", "s3://no-such-bucket/masks", "s3://no-such-bucket: no such bucket: create it, or choose another one"),
    ("{}/in", "{}/in", "{}/in: all of it lies in --out"),
    ("{}/in/a.png", "{}/in", "{}/in/a.png: the label map would replace the image: choose another --out"),
    ("{}/in", "http://localhost/masks", "http://localhost/masks: an address is s3://BUCKET/FOLDER"),
    ("http://localhost/in", "{}/masks", "http://localhost/in: an address is s3://BUCKET/FOLDER"),
)
"""Inputs, output folder, and the beginning of the line; `{}` is the address of the bucket."""


@pytest.mark.slow
def test_mistakes(bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path) -> None:
    bucket.put("in/a.png", save(tmp_path / "a.png", noise(0)).read_bytes())
    for inputs, out, told in MISTAKES:
        ran = seglight_cli("predict", model, inputs.format(bucket.url), "--out", out.format(bucket.url))
        assert (ran.rc, ran.out) == (2, "")
        assert ran.err.startswith(f"seglight: error: {told.format(bucket.url)}")
        assert ran.err.count("\n") == 1
        assert bucket.keys() == ["in/a.png"]


PATTERNS = (
    "",
    "a.png",
    "*",
    "*.png",
    "**",
    "**/*.png",
    "t*/*.png",
    "*/*",
    "town/**/*.png",
    "*/*/[de].png",
    "**/[!de].png",
    "?.png",
    "**/.hidden/*",
    "town/.*/*.png",
    "town/b [[]1].png",
    "town/b [1].png",
)


@pytest.mark.slow
def test_inputs_are_found_as_in_folders(bucket: ObjectStorage, tmp_path: Path) -> None:
    """Python's glob is the reference."""
    names = ("a.png", "ab.jpg", "._a.png", ".x.png", "notes.txt", "town/b [1].png", "town/c.png", "town/deep/d.png",
             "town/deep/e.png", "town/.hidden/f.png", "z/g.tif", "z/g.mp4")  # fmt: skip
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
        bucket.put(f"in/{name}", b"x")
    bucket.put("inner/other.png", b"x")

    def found(below: str, pattern: str) -> list[tuple[str, str]]:
        sources = find([f"{below}/{pattern}".rstrip("/")], tmp_path / "out")
        return [(source.shown.removeprefix(f"{below}/"), source.key.as_posix()) for source in sources]

    for pattern in PATTERNS:
        assert found(f"{bucket.url}/in", pattern) == found(str(tmp_path / "in"), pattern) != []


@pytest.mark.slow
def test_pages_and_frames(
    bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that are no more, pages that are read by windows, and overlaid videos."""
    monkeypatch.setattr("seglight.commands.predict.inputs.LARGE", 1000)
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "large.tif", noise(5, (61, 43)), photometric="rgb", tile=(16, 16))
    kinds = ("--save", "video", "overlay", "csv")
    for count in (3, 2, 1):
        tifffile.imwrite(folder / "scan.tif", np.stack([noise(seed) for seed in range(count)]), photometric="rgb")
        writer = cv2.VideoWriter(str(folder / "drive.avi"), cv2.VideoWriter.fourcc(*"FFV1"), 10, (48, 32))
        for seed in range(count + 1):
            writer.write(noise(seed, (32, 48)))
        writer.release()
        address = copied(bucket, folder, "in")
        local = seglight_cli("predict", model, folder, *kinds, "--out", tmp_path / "out")
        ran = seglight_cli("predict", model, address, *kinds, "--out", f"{bucket.url}/masks")
        assert ran.rc == local.rc == 0, ran.err
        check_same(bucket, "masks", tmp_path / "out")
    bucket.faults.requests.clear()
    ran = seglight_cli("predict", model, address, *kinds[:-1], "--out", f"{bucket.url}/masks")
    assert (ran.rc, ran.out) == (0, f"4 label maps in {bucket.url}/masks, 4 of them from before\n")
    assert bucket.faults.count("PUT") == 0
    assert bucket.faults.count("GET", "/in/scan.tif") == bucket.faults.count("GET", "/in/large.tif") == 0, "of one page"
    bucket.client.delete_object(Bucket=bucket.bucket, Key="masks/drive/000001.png")
    assert seglight_cli("predict", model, address, "--out", f"{bucket.url}/masks").rc == 0
    assert bucket.keys("masks/video/") == [], "it is older than one of its frames"


@pytest.mark.slow
def test_a_storage_that_is_lost(
    bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    """The run ends in a line; what was stored is whole, and the next run continues."""
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    bucket.faults.planned = [Fault("drop", "PUT", times=10_000)]
    ran = seglight_cli("predict", model, address, "--out", out)
    assert (ran.rc, ran.out) == (2, "")
    # of requests that fail at the same time, more than two may have failed before the one that ends the run
    assert re.search(r", as [23] before it: repeat the command to continue from here$", ran.err.splitlines()[-1])
    assert bucket.keys("masks/") == []
    assert bucket.faults.count("PUT") <= 2 * 8 * 4  # aiohttp sends a request once more if a connection was closed
    bucket.faults.planned.clear()
    assert seglight_cli("predict", model, address, "--out", out).rc == 0
    assert len(bucket.keys("masks/")) == 4


@pytest.mark.slow
def test_an_upload_that_fails(bucket: ObjectStorage, model: Path, images: Path, seglight_cli: CLI) -> None:
    """It is a failure of its image; nothing made from a label map that is not there is stored, or counted."""
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    bucket.faults.planned = [Fault("500", "PUT", "/masks/a.png", times=8)]
    ran = seglight_cli("predict", model, address, "--save", "overlay", "csv", "--out", out)
    assert (ran.rc, ran.out) == (1, f"3 label maps in {out}\n")
    (line,) = [line for line in ran.err.splitlines() if "failed" in line]
    assert line.startswith(f"seglight: failed: {out}/a.png: not written in 8 attempts (")
    assert bucket.keys("masks/overlay/a.jpg") == []
    assert bucket.get("masks/shares.csv").decode().count("\n") == 4
    assert seglight_cli("predict", model, address, "--save", "overlay", "csv", "--out", out).rc == 0
    assert bucket.get("masks/shares.csv").decode().count("\n") == 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_fails_at_random(
    seed: int, bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path
) -> None:
    """A fifth of all requests fail in one way or another: the files are the same."""
    for number in range(60):
        save(tmp_path / "in" / f"{number:02}.png", noise(number, (20 + number % 3, 30)))
    address = copied(bucket, tmp_path / "in", "in")
    assert seglight_cli("predict", model, tmp_path / "in", "--save", *KINDS, "--out", tmp_path / "out").rc == 0
    bucket.faults.chance = 0.2
    bucket.faults.random.seed(seed)
    ran = seglight_cli("predict", model, address, "--save", *KINDS, "--batch", 4, "--out", f"{bucket.url}/masks")
    assert (ran.rc, ran.err) == (0, "")
    failed = sum(request.fault is not None for request in bucket.faults.requests)
    assert failed > 0.1 * len(bucket.faults.requests)
    bucket.faults.chance = 0.0
    check_same(bucket, "masks", tmp_path / "out")


@pytest.mark.slow
def test_a_kill_leaves_no_half_object(bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path) -> None:
    """Whenever a run is killed, each object is whole, and the next run does only the rest."""
    for number in range(40):
        save(tmp_path / "in" / f"{number:02}.png", noise(number, (200, 300)))
    address, out = copied(bucket, tmp_path / "in", "in"), f"{bucket.url}/masks"
    assert seglight_cli("predict", model, tmp_path / "in", "--save", "overlay", "--out", tmp_path / "out").rc == 0
    command = [sys.executable, "-m", "seglight", "predict", model, address, "--save", "overlay", "--out", out]
    bucket.faults.planned = [Fault("delay", "PUT", times=10_000)]
    bucket.faults.delay = 0.2
    environment = {**os.environ, **bucket.environment}
    for enough in (1, 20, 45):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while process.poll() is None and len(bucket.keys("masks/")) < enough:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was killed at work"
        stored = bucket.keys("masks/")
        assert len(stored) >= enough
        for key in stored:
            (tmp_path / "stored").write_bytes(bucket.get(key))
            with Image.open(tmp_path / "stored") as image:
                image.load()
    time.sleep(1)  # what the proxy has received whole is stored
    done = {key for key in bucket.keys("masks/") if "overlay" not in key}
    bucket.faults.planned.clear()
    bucket.faults.requests.clear()
    ran = seglight_cli("predict", model, address, "--save", "overlay", "--out", out)
    assert (ran.rc, ran.out) == (0, f"40 label maps in {out}, {len(done)} of them from before\n")
    assert not [key for key in done if bucket.faults.count("PUT", key)]
    check_same(bucket, "masks", tmp_path / "out")


INTERRUPTIBLE = """
import signal, sys
from seglight.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_ends_soon_although_the_storage_does_not_answer(
    bucket: ObjectStorage, model: Path, images: Path
) -> None:
    address = copied(bucket, images, "in")
    bucket.faults.planned = [Fault("500", "PUT", times=10_000)]
    command = [sys.executable, "-c", INTERRUPTIBLE, "predict", model, address, "--out", f"{bucket.url}/masks"]
    environment = {**os.environ, **bucket.environment}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not bucket.faults.count("PUT"):
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, said = process.communicate()
        assert time.monotonic() - begun < 10
    assert process.returncode == 130
    assert said.splitlines()[-1] == "seglight: stopped: repeat the command to continue from here"


@pytest.mark.slow
def test_objects_as_coco_states_them(bucket: ObjectStorage, model: Path, seglight_cli: CLI, tmp_path: Path) -> None:
    bucket.put("in/x/a.png", save(tmp_path / "a.png", noise(0)).read_bytes())
    ran = seglight_cli("predict", model, f"{bucket.url}/in", "--save", "coco", "--out", f"{bucket.url}/masks")
    assert ran.rc == 0, ran.err
    content = json.loads(bucket.get("masks/coco.json"))
    assert [entry["file_name"] for entry in content["images"]] == ["x/a.png"]
    assert sum(entry["area"] for entry in content["annotations"] if entry["category_id"] == 2) == (
        (noise(0)[..., 0] > 127).sum()
    )


@pytest.mark.slow
def test_shards(
    bucket: ObjectStorage,
    model: Path,
    images: Path,
    seglight_cli: CLI,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same files for any number of processes; their folder is in the working directory while they run."""
    monkeypatch.chdir(tmp_path)
    address, out = copied(bucket, images, "in"), f"{bucket.url}/masks"
    assert seglight_cli("predict", model, images, "--save", *KINDS, "--out", tmp_path / "out").rc == 0
    ran = seglight_cli("predict", model, address, "--save", *KINDS, "--out", out, "--parallel", 3)
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}\n"), ran.err
    check_same(bucket, "masks", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "out", "red.onnx"]
    bucket.faults.requests.clear()
    ran = seglight_cli("predict", model, address, "--out", out, "--parallel", 2)
    assert (ran.rc, ran.out) == (0, f"4 label maps in {out}, 4 of them from before\n"), ran.err
    assert bucket.faults.count("PUT") == 0
