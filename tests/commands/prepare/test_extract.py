"""Archives, hostile ones above all."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seglight.commands.prepare.extract import ArchiveError, extract
from seglight.errors import UserError

GOOD = {"set/a.txt": b"a", "set/deep/er/b.bin": bytes(3_000_000), "set/empty": b""}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".tgz", ".gz") else "w") as tar:
        for info, body in members:
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return path


def write_zip(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """Members: name, body, and the Unix mode (0: not packed on Unix)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body, mode in members:
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            packed.writestr(info, body)
    return path


def unpack(
    archive: Path, inside: str = "", keep: tuple[str, ...] = ("set",), members: int = 50, size: int = 10**7
) -> int:
    into = archive.parent / "home" / "into"
    into.mkdir(parents=True)
    return extract(archive, into, inside, keep, members, size, lambda done, note: None)


def outside(tmp_path: Path) -> list[str]:
    """What lies anywhere but in the folder that was unpacked to, and is not the archive."""
    into = tmp_path / "home" / "into"
    return [str(p) for p in tmp_path.rglob("*") if p != into and into not in p.parents and p.parent != tmp_path]


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "x.zip"])
def test_what_is_wanted_is_unpacked(tmp_path: Path, name: str) -> None:
    files = {f"top/{path}": body for path, body in GOOD.items()} | {"top/other": b"", "else/where/set/c": b""}
    if name.endswith("zip"):
        write_zip(tmp_path / name, ("top/set/", b"", 0o40755), *((p, body, 0o100644) for p, body in files.items()))
    else:
        folder = (member("./top/set", tarfile.DIRTYPE), b"")
        write_tar(tmp_path / name, folder, *((member(f"./{p}"), body) for p, body in files.items()))
    assert unpack(tmp_path / name, inside="top", members=7) == 3_000_001
    assert tree(tmp_path / "home" / "into") == GOOD


def test_modes_are_left_behind(tmp_path: Path) -> None:
    unpack(write_tar(tmp_path / "x.tar", (member("set/run", mode=0o6777), b"#!")))
    assert not (tmp_path / "home" / "into" / "set" / "run").stat().st_mode & (
        stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR
    )


HOSTILE_NAMES = {
    "../evil": "leads out",
    "set/../../evil": "leads out",
    "../into-too/evil": "leads out",
    "/tmp/evil": "leads out",
    "//server/evil": "leads out",
    "set\\..\\..\\evil": "leads out",
    "C:evil": "leads out",
    "C:/evil": "leads out",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    """Also of members that nobody wants."""
    path = tmp_path / f"x.{kind}"
    if kind == "tar":
        write_tar(path, (member(name), b"evil"))
    else:
        write_zip(path, (name, b"evil", 0o100644))
    with pytest.raises(ArchiveError, match=HOSTILE_NAMES[name]):
        unpack(path)
    assert not outside(tmp_path)
    assert not Path("/tmp/evil").exists()


SPECIAL = {
    "symlink": (tarfile.SYMTYPE, "/etc/passwd", "link"),
    "symlink down": (tarfile.SYMTYPE, "a.txt", "link"),
    "hard link": (tarfile.LNKTYPE, "../../evil", "link"),
    "character device": (tarfile.CHRTYPE, "", "device"),
    "block device": (tarfile.BLKTYPE, "", "device"),
    "pipe": (tarfile.FIFOTYPE, "", "device"),
    "unheard-of type": (b"Z", "", "device"),
}


@pytest.mark.parametrize("what", SPECIAL)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, what: str) -> None:
    kind, link, says = SPECIAL[what]
    path = write_tar(tmp_path / "x.tar", (member("set/it", kind, link), b""))
    with pytest.raises(ArchiveError, match=rf"'set/it' is a {says}"):
        unpack(path)
    assert not tree(tmp_path / "home" / "into")


def test_a_file_through_a_link_is_refused(tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    link = (member("set/door", tarfile.SYMTYPE, str(away)), b"")
    with pytest.raises(ArchiveError, match="is a link"):
        unpack(write_tar(tmp_path / "x.tar", link, (member("set/door/evil"), b"evil")))
    assert not list(away.iterdir())


@pytest.mark.parametrize(("mode", "says"), [(0o120777, "link"), (0o20666, "device"), (0o10644, "device")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int, says: str) -> None:
    with pytest.raises(ArchiveError, match=rf"'set/it' is a {says}"):
        unpack(write_zip(tmp_path / "x.zip", ("set/it", b"/etc/passwd", mode)))
    assert not tree(tmp_path / "home" / "into")


def test_links_that_nobody_wants_are_not_inspected(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", (member("set/a"), b"a"), (member("code/l", tarfile.SYMTYPE, "/etc"), b""))
    unpack(path)
    assert tree(tmp_path / "home" / "into") == {"set/a": b"a"}


TWICE = {
    "the same name": (("set/a", "set/a"), "occurs twice"),
    "the same name by detours": (("set/a", "set/.//a"), "occurs twice"),
    "other case": (("set/a", "set/A"), "occurs twice, or differs only in case"),
    "other Unicode form": (("set/\u00e9", "set/e\u0301"), "occurs twice, or differs only in case"),
    "a file as a folder": (("set/a", "set/a/b"), "uses as a folder what is a file already"),
    "a file as a folder of other case": (("set/a", "set/A/b"), "uses as a folder what is a file already"),
    "a folder as a file": (("set/a/b", "set/a"), "occurs twice"),
}


@pytest.mark.parametrize("what", TWICE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_meet_are_refused(tmp_path: Path, what: str, kind: str) -> None:
    names, says = TWICE[what]
    path = tmp_path / f"x.{kind}"
    if kind == "tar":
        write_tar(path, *((member(name), name.encode()) for name in names))
    elif what == "the same name":
        with pytest.warns(UserWarning, match="Duplicate name"):
            write_zip(path, *((name, name.encode(), 0) for name in names))
    else:
        write_zip(path, *((name, name.encode(), 0) for name in names))
    with pytest.raises(ArchiveError, match=says):
        unpack(path)


def bomb(path: Path, size: int) -> Path:
    if path.suffix == ".zip":
        return write_zip(path, ("set/zeros", bytes(size), 0))
    return write_tar(path, (member("set/zeros"), bytes(size)))


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_a_bomb_of_bytes_stops_at_the_bound(tmp_path: Path, name: str) -> None:
    path = bomb(tmp_path / name, 30_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(ArchiveError, match="more than 2000000 bytes in it"):
        unpack(path, size=2_000_000)
    assert sum(map(len, tree(tmp_path / "home" / "into").values())) <= 2_000_000


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    """The directory says 10 bytes, 30 MB come: what counts is what comes."""
    path = bomb(tmp_path / "x.zip", 30_000_000)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path.write_bytes(raw)
    with pytest.raises(ArchiveError):
        unpack(path, size=2_000_000)
    assert sum(map(len, tree(tmp_path / "home" / "into").values())) <= 2_000_000


MANY: dict[str, Callable[[int], str]] = {
    "files": lambda k: f"set/{k}",
    "members that nobody wants": lambda k: f"other/{k}",
    "folders on the way": lambda k: f"set/{k}/" + "d/" * 20 + "f",
}


@pytest.mark.parametrize("what", MANY)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_bomb_of_members_stops_at_the_bound(tmp_path: Path, what: str, kind: str) -> None:
    path, names = tmp_path / f"x.{kind}", [MANY[what](k) for k in range(300)]
    if kind == "tar":
        write_tar(path, *((member(name), b"") for name in names))
    else:
        write_zip(path, *((name, b"", 0) for name in names))
    with pytest.raises(ArchiveError, match="more than 100 members"):
        unpack(path, members=100)
    assert len(list((tmp_path / "home" / "into").rglob("*"))) <= 130


@pytest.mark.parametrize("name", ["x.tgz", "x.tar", "x.zip"])
def test_damaged_archives_are_reported(tmp_path: Path, name: str) -> None:
    files = {path: bytes(range(256)) * 100 for path in GOOD}
    if name == "x.zip":
        path = write_zip(tmp_path / name, *((p, body, 0) for p, body in files.items()))
    else:
        path = write_tar(tmp_path / name, *((member(p), body) for p, body in files.items()))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArchiveError, match=rf"^{path}: damaged \(.*\): remove it and run this again"):
        unpack(path)


@pytest.mark.parametrize("name", ["x.tgz", "x.tar", "x.zip"])
def test_a_page_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<html>blocked</html>" * 100)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(tmp_path / name)


def test_an_encrypted_zip_is_reported(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", ("set/a", b"a", 0))
    raw = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + flags] |= 1
    path.write_bytes(raw)
    with pytest.raises(ArchiveError, match="encrypted"):
        unpack(path)


def test_a_full_disk_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tar(tmp_path / "x.tar", (member("set/a"), b"a"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.mkdir", full)
    with pytest.raises(UserError, match=r"No space left on device while unpacking x\.tar: free some space") as caught:
        extract(path, tmp_path / "into", "", ("set",), 5, 5, lambda done, note: None)
    assert not isinstance(caught.value, ArchiveError)
