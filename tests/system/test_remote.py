"""Addresses, packages that are missing, and what errors of storages mean; requests are in test_remote_requests.py.

Covers: system.remote_errors.
"""

import sys

import pytest

from seglight.errors import UserError
from seglight.system import remote
from seglight.system.remote import Storage, is_address, split_address
from seglight.system.remote_errors import explained, may_pass


def test_addresses() -> None:
    assert is_address("s3://bucket/a")
    assert is_address("http://host/a")
    assert not is_address("C:/a")
    assert not is_address("folder/s3://a")
    assert split_address("gs://bucket/a b/") == ("gs", "bucket/a b")
    for wrong in ("s3://", "s3:///a", "http://host/a", "S3://bucket/a"):
        with pytest.raises(UserError, match="an address is s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER"):
            split_address(wrong)


@pytest.mark.parametrize(("scheme", "package"), remote.SCHEMES.items())
def test_a_package_that_is_missing(scheme: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    remote.file_system.cache_clear()
    with pytest.raises(UserError, match=rf"^{scheme}:// needs {package}, .*: pip install 'seglight\[remote\]'$"):
        Storage(f"{scheme}://bucket/a")


class HttpError(Exception):
    """As gcsfs and Azure's client have one."""


def test_kinds_of_errors() -> None:
    for passes in (TimeoutError(), ConnectionResetError(), OSError(16, "busy"), HttpError("503"), EOFError()):
        assert may_pass(passes)
    lasting = (
        PermissionError(),
        FileNotFoundError(),
        ValueError(),
        KeyError(),
        OSError("Forbidden: x"),
        OSError(28, ""),
    )
    for lasts in lasting:
        assert not may_pass(lasts)
    assert str(explained(HttpError("a\nb"), "az://c/d", "read", 2)) == "az://c/d: not read in 2 attempts (a b)"
    assert str(explained(HttpError(), "az://c/d", "read", 2)) == "az://c/d: not read in 2 attempts (HttpError)"
    assert str(explained(ValueError("x"), "az://c/d", "listed", 2)) == "az://c/d: not listed (x)"
