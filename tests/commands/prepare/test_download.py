"""Downloads for real, from an HTTP server on 127.0.0.1.

Covers: commands.prepare.transfer.
"""

import hashlib
import json
import random
import socket
from pathlib import Path

import pytest

from seglight.commands.prepare.download import Archive, addresses, download
from seglight.commands.prepare.transfer import TRIES
from seglight.errors import UserError
from tests.support.download_server import DATE, Behaviour

BODY = random.Random(0).randbytes(300_000)
CHANGED = random.Random(1).randbytes(300_000)


def archive(*servers: Behaviour, body: bytes = BODY, checked: bool = True) -> Archive:
    """The archive /x.tar of some servers; if unchecked, one of at most a megabyte without a checksum."""
    urls = tuple(f"{server.url}/x.tar" for server in servers)
    if not checked:
        return Archive("x.tar", urls, 1_000_000, "", "", ())
    return Archive("x.tar", urls, len(body), hashlib.sha256(body).hexdigest(), "", ())


def fetch(wanted: Archive, folder: Path, mirror: str | None = None) -> bytes:
    path = download(wanted, folder, mirror, lambda done, note: None)
    assert [p.name for p in folder.iterdir()] == ["x.tar"], "nothing lies beside"
    return path.read_bytes()


def leave(folder: Path, begun: bytes, url: str = "", validator: str = "") -> None:
    """What a run leaves that was killed."""
    folder.mkdir(exist_ok=True)
    (folder / "x.tar.part").write_bytes(begun)
    if url:
        (folder / "x.tar.part.json").write_text(json.dumps([url, validator]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture(autouse=True)
def _files(server: Behaviour, other: Behaviour) -> None:
    server.files["/x.tar"] = other.files["/x.tar"] = BODY


def test_a_file_comes_whole_and_is_not_fetched_twice(server: Behaviour, folder: Path) -> None:
    reports: list[tuple[int, str]] = []
    path = download(archive(server), folder, None, lambda done, note: reports.append((done, note)))
    assert path.read_bytes() == BODY
    assert fetch(archive(server), folder) == BODY
    assert server.sent() == len(BODY)
    assert reports[-1] == (len(BODY), "checking")
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


@pytest.mark.parametrize("checked", [True, False])
def test_a_cut_connection_is_gone_on_with(server: Behaviour, folder: Path, checked: bool) -> None:
    server.cuts = [100_000, 0, 50_000, 0]
    assert fetch(archive(server, checked=checked), folder) == BODY
    starts = [0, 100_000, 100_000, 150_000, 150_000]
    assert [r.range for r in server.requests] == [None, *(f"bytes={start}-" for start in starts[1:])]
    assert {r.if_range for r in server.requests[1:]} == {'"v1"'}
    assert server.sent() == len(BODY), "no byte twice"


def test_a_server_without_ranges_is_asked_for_all_of_it(server: Behaviour, folder: Path) -> None:
    server.ranges = False
    server.cuts = [100_000]
    assert fetch(archive(server), folder) == BODY
    assert [r.status for r in server.requests] == [200, 200]


def test_a_connection_that_is_cut_at_the_same_place_ends(server: Behaviour, folder: Path) -> None:
    server.ranges = False
    server.cuts = [1000] * 100
    with pytest.raises(UserError, match=r"the connection broke after 1000 of 300000 bytes"):
        download(archive(server), folder, None, lambda done, note: None)
    assert len(server.requests) == TRIES


def test_an_earlier_run_is_gone_on_with(server: Behaviour, folder: Path) -> None:
    leave(folder, BODY[:200_000], f"{server.url}/x.tar", '"v1"')
    assert fetch(archive(server, checked=False), folder) == BODY
    assert [(r.range, r.if_range) for r in server.requests] == [("bytes=200000-", '"v1"')]


@pytest.mark.parametrize("ignores_if_range", [False, True])
@pytest.mark.parametrize("checked", [False, True])
def test_a_file_that_changed_is_not_glued(
    server: Behaviour, folder: Path, ignores_if_range: bool, checked: bool
) -> None:
    leave(folder, BODY[:200_000], f"{server.url}/x.tar", '"v1"')
    server.files["/x.tar"], server.etag, server.ignores_if_range = CHANGED, '"v2"', ignores_if_range
    assert fetch(archive(server, body=CHANGED, checked=checked), folder) == CHANGED


@pytest.mark.parametrize(
    ("etag", "last_modified", "asks"),
    [(None, DATE, DATE), ('W/"v1"', DATE, DATE), ('W/"v1"', None, None), (None, None, None)],
)
def test_validators(
    server: Behaviour, folder: Path, etag: str | None, last_modified: str | None, asks: str | None
) -> None:
    """Without one that If-Range may carry, and without a checksum, nobody knows whether two halves belong together."""
    server.etag, server.last_modified, server.cuts = etag, last_modified, [100_000]
    assert fetch(archive(server, checked=False), folder) == BODY
    second = server.requests[1]
    assert (second.range, second.if_range) == (("bytes=100000-", asks) if asks else (None, None))


def test_with_a_checksum_another_mirror_resumes(server: Behaviour, other: Behaviour, folder: Path) -> None:
    other.etag = '"another"'
    server.cuts, server.statuses = [100_000], [200, 503, 503, 503]
    assert fetch(archive(server, other), folder) == BODY
    assert [r.range for r in other.requests] == ["bytes=100000-"]
    assert server.sent() + other.sent() == len(BODY)


def test_without_a_checksum_another_mirror_starts_again(server: Behaviour, other: Behaviour, folder: Path) -> None:
    server.cuts, server.statuses = [100_000], [200, 404]
    other.files["/x.tar"] = CHANGED
    assert fetch(archive(server, other, checked=False), folder) == CHANGED


def test_damage_from_an_earlier_run_is_fetched_again(server: Behaviour, folder: Path) -> None:
    leave(folder, CHANGED[:200_000])
    assert fetch(archive(server), folder) == BODY
    assert [r.range for r in server.requests] == ["bytes=200000-", None]


def test_a_part_that_was_whole_needs_no_request(server: Behaviour, folder: Path) -> None:
    leave(folder, BODY)
    assert fetch(archive(server), folder) == BODY
    assert not server.requests


@pytest.mark.parametrize("extra", [0, 5])
def test_the_server_states_that_a_part_is_whole_or_too_long(server: Behaviour, folder: Path, extra: int) -> None:
    leave(folder, BODY + CHANGED[:extra], f"{server.url}/x.tar", '"v1"')
    assert fetch(archive(server, checked=False), folder) == BODY
    assert [r.status for r in server.requests] == [416, 200][: 1 + bool(extra)]


def test_a_damaged_file_under_the_final_name_is_fetched_again(server: Behaviour, folder: Path) -> None:
    folder.mkdir()
    (folder / "x.tar").write_bytes(CHANGED)
    assert fetch(archive(server), folder) == BODY


def test_busy_servers_are_asked_again(server: Behaviour, folder: Path) -> None:
    server.statuses = [503, 429]
    assert fetch(archive(server), folder) == BODY
    assert [r.status for r in server.requests] == [503, 429, 200]


def test_mirrors_are_tried_in_turn_and_each_reason_is_reported(
    server: Behaviour, other: Behaviour, folder: Path, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
    server.files.clear()
    other.files["/x.tar"] = CHANGED
    wanted = archive(server, other, Behaviour(url=nobody))
    with pytest.raises(UserError) as caught:
        download(wanted, folder, None, lambda done, note: None)
    digest = hashlib.sha256(CHANGED).hexdigest()
    for reason in (
        f"{server.url[7:]} (HTTP 404 Not Found)",
        f"{other.url[7:]} (its SHA-256 is {digest} in place of {wanted.sha256})",
        f"{nobody[7:]} ([Errno 111] Connection refused)",
        f"put it into {tmp_path}",
    ):
        assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 1, "404 is not asked for again"
    assert not list(folder.iterdir()), "nothing wrong is kept"
    other.files["/x.tar"] = BODY
    assert fetch(wanted, folder) == BODY


def test_a_page_in_place_of_the_file_leaves_what_came(server: Behaviour, other: Behaviour, folder: Path) -> None:
    """A firewall answers 200 with a page of its own."""
    leave(folder, BODY[:200_000])
    server.files["/x.tar"] = b"<html>blocked</html>" * 20
    server.ranges = False
    with pytest.raises(UserError, match=r"\(its file has 400 bytes in place of 300000\)"):
        download(archive(server), folder, None, lambda done, note: None)
    assert fetch(archive(server, other), folder) == BODY
    assert other.sent() == 100_000


def test_a_stream_that_does_not_end_is_left(server: Behaviour, folder: Path) -> None:
    server.tells_length = False
    server.files["/x.tar"] = BODY + bytes(5_000_000)
    with pytest.raises(UserError, match=r"sends more than 300000 bytes"):
        download(archive(server), folder, None, lambda done, note: None)
    assert not list(folder.iterdir())


def test_redirects_are_followed_with_the_range(server: Behaviour, other: Behaviour, folder: Path) -> None:
    leave(folder, BODY[:200_000])
    server.moved["/x.tar"] = f"{other.url}/x.tar"
    assert fetch(archive(server), folder) == BODY
    assert other.sent() == 100_000


def test_a_mirror_comes_first(server: Behaviour, other: Behaviour, folder: Path) -> None:
    wanted = archive(server)
    other.files = {"/pub/x.tar": BODY, "/got/y.tgz": BODY}
    assert fetch(wanted, folder, f"{other.url}/pub/") == BODY
    assert addresses(wanted, f"{other.url}/pub") == [f"{other.url}/pub/x.tar", f"{server.url}/x.tar"]
    assert addresses(wanted, f"{other.url}/got/y.tgz")[0] == f"{other.url}/got/y.tgz"
    assert not server.requests


@pytest.mark.parametrize("mirror", ["ftp://server/x", "file:///etc", "/srv/mirror", "http://"])
def test_a_mirror_is_an_http_url(server: Behaviour, mirror: str) -> None:
    with pytest.raises(UserError, match=r"--mirror .* is not a URL: give one that begins with http:// or https://"):
        addresses(archive(server), mirror)


def test_a_folder_that_can_not_be_made_is_reported(server: Behaviour, folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(UserError, match=rf"^{folder}: File exists: free some space"):
        download(archive(server), folder, None, lambda done, note: None)


@pytest.mark.parametrize("checked", [False, True])
def test_an_empty_answer_is_not_the_file(server: Behaviour, folder: Path, checked: bool) -> None:
    server.files["/x.tar"], server.tells_length = b"", False
    with pytest.raises(UserError, match=r"the connection broke after 0 of \? bytes"):
        download(archive(server, checked=checked), folder, None, lambda done, note: None)
