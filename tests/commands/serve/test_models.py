"""Names of models, and copies of their files.

Covers: checkpoints.model_files.
"""

import hashlib
import os
from pathlib import Path

import pytest

from seglight.checkpoints.model_files import DESCRIPTION, WEIGHTS
from seglight.commands.serve.models import copied, fingerprint, named_models, served
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError
from tests.support.served import StandIn


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of each kind."""
    for name in ("runs/street/checkpoints/best.ckpt", "nets/b=c.onnx", "a.ckpt", "x.xml", "x.bin", "two words.onnx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "shared").mkdir()
    for name in (DESCRIPTION, WEIGHTS, "README.md"):
        (tmp_path / "shared" / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names(here: Path) -> None:
    texts = ["a.ckpt", "nets/b=c.onnx", "shared/", "runs/street/checkpoints/best.ckpt", "v2=runs/street", "x.xml"]
    with pytest.raises(UserError, match=r"'b=c', is a part of addresses.*NAME=nets/b=c\.onnx"):
        named_models(texts)
    texts[1] = "b=nets/b=c.onnx"
    assert named_models(texts) == {
        "a": Path("a.ckpt"),
        "b": Path("nets/b=c.onnx"),
        "shared": Path("shared"),
        "street": Path("runs/street/checkpoints/best.ckpt"),
        "v2": Path("runs/street/checkpoints/best.ckpt"),
        "x": Path("x.xml"),
    }
    assert list(named_models(["z=a.ckpt", "a.ckpt"])) == ["z", "a"]


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        (["a.ckpt", "a=shared"], r"^a\.ckpt and shared are both named 'a': name one of them, as in NAME=shared$"),
        (["b.ckpt"], r"^b\.ckpt: no such checkpoint, released folder or exported file: check the path$"),
        (["n=b.ckpt"], r"^b\.ckpt: no such checkpoint"),
        ([""], "no such checkpoint"),
        (["n="], "^n=: no such checkpoint"),
        (["two words.onnx"], r"'two words', is a part of addresses, .*: name it, as in NAME=two words\.onnx$"),
        (["../x=a.ckpt"], "'../x', is a part of addresses"),
        (
            ["nets"],
            r"^nets: the folder has neither checkpoints/best\.ckpt nor release\.json: give a checkpoint, a run f",
        ),
        (["n=runs"], "^runs: the folder has neither"),
        (["=a.ckpt"], "'', is a part of addresses"),
        ([f"{'n' * 101}=a.ckpt"], "at most 100"),
    ],
)
def test_names_that_are_refused(here: Path, texts: list[str], line: str) -> None:
    with pytest.raises(UserError, match=line):
        named_models(texts)


@pytest.mark.parametrize(
    ("model", "files", "first"),
    [
        ("a.ckpt", {"a.ckpt"}, "a.ckpt"),
        ("x.xml", {"x.xml", "x.bin"}, "x.xml"),
        ("shared", {DESCRIPTION, WEIGHTS}, f"shared/{DESCRIPTION}"),
    ],
)
def test_a_copy(here: Path, model: str, files: set[str], first: str) -> None:
    found = copied(Path(model), here / "copies" / "0")
    assert {path.name for path in found.folder.iterdir()} == files
    assert found.path == (found.folder if model == "shared" else found.folder / model)
    assert found.version == hashlib.sha256((here / first).read_bytes()).hexdigest()[:12]
    assert found.fingerprint == fingerprint(Path(model))


def test_what_changes_a_fingerprint(here: Path) -> None:
    before = fingerprint(Path("x.xml"))
    (here / "x.bin").write_text("other weights")
    assert fingerprint(Path("x.xml")) not in (None, before)
    same = fingerprint(Path("a.ckpt"))
    os.utime("a.ckpt", (0, 0))
    assert fingerprint(Path("a.ckpt")) not in (None, same)
    (here / "x.bin").unlink()
    assert fingerprint(Path("x.xml")) is None
    assert fingerprint(Path("no.ckpt")) is None


def test_a_file_that_is_missing_or_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "x.bin").unlink()
    with pytest.raises(UserError, match=r"^x\.bin: No such file or directory: check the file"):
        copied(Path("x.xml"), here / "copies" / "0")
    seen = iter([((1, 1, 1),), ((1, 2, 1),)])
    monkeypatch.setattr("seglight.commands.serve.models.fingerprint", lambda _: next(seen))
    with pytest.raises(UserError, match=r"^a\.ckpt: it changes while it is read: try again when it is written$"):
        copied(Path("a.ckpt"), here / "copies" / "1")


def test_the_model_that_a_request_names() -> None:
    models = StandIn("b", "a").models
    assert served(models, None) is models["b"]
    assert served(models, "a") is models["a"]
    for name in ("c", "", "../a"):
        with pytest.raises(Refused, match=r"^there is no such model: the models are b, a$") as refused:
            served(models, name)
        assert refused.value.status == 404
    with pytest.raises(Refused, match=r"^the models are still being loaded: repeat the request later$") as refused:
        served({}, "a")
    assert (refused.value.status, refused.value.retry_after) == (503, 1.0)
