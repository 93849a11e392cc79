"""Requests to an S3 server through a network that fails; boto3 tells what is stored there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from seglight.errors import UserError
from seglight.system import remote
from seglight.system.remote import RemoteFile, Storage
from seglight.system.remote_errors import AccessDeniedError, StorageError
from tests.support.object_storage import KINDS, Fault, ObjectStorage, object_storage, reach, s3_server

pytestmark = pytest.mark.slow

NAMES = ("a.png", "b c.png", "d#1.png", "e?f.png", "g[1].png", "h*.png", "ü.png", "%41.png", "k+l.png")


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(server: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    with object_storage(server, f"bucket-{abs(hash(request.node.name))}") as bucket:
        reach(bucket, monkeypatch)
        yield bucket


def test_unusual_names(bucket: ObjectStorage, tmp_path: Path) -> None:
    storage = Storage(bucket.url)
    for number, name in enumerate(NAMES):
        (tmp_path / "file").write_bytes(bytes([number]) * 9)
        storage.upload(tmp_path / "file", f"{bucket.url}/folder/{name}")
    assert bucket.keys() == sorted(f"folder/{name}" for name in NAMES)
    listed = {file.url: file for file in storage.files_below(f"{bucket.url}/folder")}
    for number, name in enumerate(NAMES):
        address = f"{bucket.url}/folder/{name}"
        assert bucket.get(f"folder/{name}") == bytes([number]) * 9
        file = storage.file(address)
        assert file == listed[address], "the same version by both requests"
        assert file is not None
        assert file.version == bucket.client.head_object(Bucket=bucket.bucket, Key=f"folder/{name}")["ETag"].strip('"')
        storage.download(file, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == bytes([number]) * 9
        assert storage.read(address) == bytes([number]) * 9
        assert storage.read(address, 4) == bytes([number]) * 4
        storage.remove(address)
    assert bucket.keys() == []


def test_what_is_not_there(bucket: ObjectStorage, tmp_path: Path) -> None:
    storage = Storage(bucket.url)
    bucket.put("folder/a", b"")
    bucket.put("folder/b/", b"")
    assert storage.file(f"{bucket.url}/folder") is None
    assert storage.file(f"{bucket.url}/nothing") is None
    assert storage.read(f"{bucket.url}/nothing") is None
    assert storage.read(f"{bucket.url}/folder/a", 9) == b"", "it is empty"
    assert [file.url for file in storage.files_below(bucket.url)] == [f"{bucket.url}/folder/a"]
    assert storage.files_below(f"{bucket.url}/fold") == []
    assert storage.files_below("s3://no-such-bucket") == []
    storage.remove(f"{bucket.url}/nothing")
    storage.check_bucket(f"{bucket.url}/any/thing")
    with pytest.raises(UserError, match=r"^s3://no-such-bucket: no such bucket: create it"):
        storage.check_bucket("s3://no-such-bucket/any/thing")
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(StorageError, match=r"^s3://no-such-bucket: no such bucket: create it"):
        storage.upload(tmp_path / "a", "s3://no-such-bucket/a")
    with pytest.raises(UserError, match=f"^{bucket.url}/gone: no such object any more"):
        storage.download(RemoteFile(f"{bucket.url}/gone", 3, ""), tmp_path / "copy")


@pytest.mark.parametrize("kind", [*KINDS, "cut request", "delay"])
def test_what_passes_is_repeated(
    kind: str, bucket: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, each; what is stored and read is whole."""
    if kind == "delay":
        reach(bucket, monkeypatch, timeout=1)
        bucket.faults.delay = 1.3
    storage, address, data = Storage(bucket.url), f"{bucket.url}/a", bytes(range(256)) * 1000
    (tmp_path / "a").write_bytes(data)
    bucket.faults.planned = [Fault(kind, method, times=2) for method in ("PUT", "HEAD", "GET", "DELETE")]
    storage.upload(tmp_path / "a", address)
    assert bucket.get("a") == data
    file = storage.file(address)
    assert file is not None
    assert file.size == len(data)
    storage.download(file, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    bucket.faults.planned.append(Fault(kind, "GET", times=2))
    assert storage.read(address, 1000) == data[:1000]
    storage.remove(address)
    assert bucket.keys() == []
    assert [bucket.faults.count(method) for method in ("PUT", "HEAD", "GET", "DELETE")] == [3, 3, 6, 3]


def test_requests_are_bounded(bucket: ObjectStorage, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    bucket.put("a", b"old")
    bucket.faults.planned = [Fault("503", "PUT", times=10_000)]
    storage = Storage(bucket.url)
    for number in range(1, remote.LOST):
        with pytest.raises(UserError, match=rf"^{bucket.url}/a: not written in 8 attempts \(.*as the test asks"):
            storage.upload(tmp_path / "a", f"{bucket.url}/a")
        assert bucket.faults.count("PUT") == 8 * number
    with pytest.raises(StorageError, match=r"as 2 before it: repeat the command to continue from here$"):
        storage.upload(tmp_path / "a", f"{bucket.url}/a")
    assert bucket.faults.count("PUT") == 8 * remote.LOST
    assert bucket.get("a") == b"old"


def test_a_success_in_between_counts(bucket: ObjectStorage, tmp_path: Path) -> None:
    """One object that can't be read is not the whole storage."""
    bucket.put("bad", b"bad")
    bucket.put("good", b"good")
    bucket.faults.planned = [Fault("500", "GET", "/bad", times=10_000)]
    storage = Storage(bucket.url)
    for _ in range(5):
        with pytest.raises(UserError, match="/bad: not read in 8 attempts"):
            storage.read(f"{bucket.url}/bad")
        assert storage.read(f"{bucket.url}/good") == b"good"


def test_what_is_denied_is_not_repeated(bucket: ObjectStorage, tmp_path: Path) -> None:
    bucket.put("a", b"a")
    bucket.faults.planned = [Fault("403", method, times=10_000) for method in ("GET", "PUT", "HEAD")]
    storage = Storage(bucket.url)
    for number in range(1, 6):
        with pytest.raises(AccessDeniedError, match=rf"^{bucket.url}/a: access denied \(as the test asks\): check"):
            storage.read(f"{bucket.url}/a")
        assert bucket.faults.count("GET") == number
    storage.check_bucket(bucket.url)  # which may be forbidden to someone who may write
    (tmp_path / "a").write_bytes(b"a")
    for kind in (UserError, UserError, StorageError):
        with pytest.raises(kind, match="access denied"):
            storage.upload(tmp_path / "a", f"{bucket.url}/a")


def test_an_interrupted_storage_makes_no_further_attempt(bucket: ObjectStorage) -> None:
    bucket.faults.planned = [Fault("500", "GET", times=10_000)]
    storage = Storage(bucket.url)
    storage.interrupt()
    with pytest.raises(UserError, match="not read"):
        storage.read(f"{bucket.url}/a")
    assert bucket.faults.count("GET") == 1


def test_an_object_that_was_replaced_by_a_shorter_one(bucket: ObjectStorage, tmp_path: Path) -> None:
    bucket.put("a", b"four")
    with pytest.raises(UserError, match="4 bytes came in place of 9: it was cut off, or replaced"):
        Storage(bucket.url).download(RemoteFile(f"{bucket.url}/a", 9, ""), tmp_path / "copy")


def test_a_large_upload_is_whole_or_not_at_all(
    bucket: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "CHUNK", 5 << 20)  # S3 takes no smaller part
    data = bytes(range(256)) * (11 << 12)
    (tmp_path / "a").write_bytes(data)
    bucket.put("a", b"old")
    storage = Storage(bucket.url)
    bucket.faults.planned = [Fault("500", "PUT", "partNumber=2", times=8)]
    with pytest.raises(UserError, match="not written in 8 attempts"):
        storage.upload(tmp_path / "a", f"{bucket.url}/a")
    assert bucket.get("a") == b"old"
    bucket.faults.planned = [Fault("drop", "PUT", "partNumber=3"), Fault("lost", "POST", "uploadId=")]
    storage.upload(tmp_path / "a", f"{bucket.url}/a")
    assert bucket.get("a") == data
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.bucket), "no parts are left behind"


def test_a_closed_port(monkeypatch: pytest.MonkeyPatch, bucket: ObjectStorage) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    remote.file_system.cache_clear()
    with pytest.raises(UserError, match=r"not read in 8 attempts \(.*127.0.0.1:1"):
        Storage("s3://bucket").file("s3://bucket/a")


def test_missing_credentials(monkeypatch: pytest.MonkeyPatch, bucket: ObjectStorage, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    remote.file_system.cache_clear()
    with pytest.raises(StorageError, match=r"^s3://bucket/a: no credentials \(.*\): set up those of s3://$"):
        Storage("s3://bucket").file("s3://bucket/a")
    assert not bucket.faults.requests
