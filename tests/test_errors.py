"""Errors of others, told in one line.

Covers: interfaces.
"""

from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from seglight.errors import UserError, one_line, traceback_of, user_error_behind


class Damaged(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise UserError("a/b.png: the file is cut off,\n  fetch it again")


def told(workers: int) -> str:
    batches = iter(DataLoader(Damaged(), num_workers=workers))
    with pytest.raises(UserError) as caught:
        next(batches)
    assert not list(batches)  # at its end a loader ends its processes
    return one_line(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_one_line_out_of_a_loader(workers: int) -> None:
    assert told(workers) == "a/b.png: the file is cut off, fetch it again"


def test_one_line_of_one_line() -> None:
    assert one_line(UserError("configs/a.yaml: key 'lr' is 0: give a positive one")) == (
        "configs/a.yaml: key 'lr' is 0: give a positive one"
    )


def test_a_traceback_does_not_act_on_the_terminal() -> None:
    with pytest.raises(ValueError, match="owned") as caught:
        raise ValueError("\x1b]0;owned\x07")
    *_, place, source, message = traceback_of(caught.value).splitlines()
    assert message == r"ValueError: \x1b]0;owned\x07"
    assert __file__ in place
    assert source.strip().startswith("raise ValueError(")


def test_a_full_disk_is_the_users_mistake_whoever_raises_it() -> None:
    try:
        with open("/dev/full", "w") as file:
            file.write("more than there is room for")
    except OSError as error:
        wrapped = RuntimeError("a library's own")
        wrapped.__cause__ = error
    mistake = user_error_behind(wrapped)
    assert str(mistake).startswith("No space left on device: free some space, then run the command again")


def test_a_path_that_cannot_be_had_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for mistake, told in (
        (lambda: (tmp_path / "file" / "below").mkdir(), f"{tmp_path}/file/below: Not a directory"),
        (lambda: (tmp_path / "file").mkdir(), f"{tmp_path}/file: File exists"),
        (lambda: (tmp_path / "file").replace(tmp_path / "folder"), f"{tmp_path}/folder: Is a directory"),
    ):
        with pytest.raises(OSError, match=told.partition(": ")[2]) as caught:
            mistake()
        assert str(user_error_behind(caught.value)) == f"{told}: check it, or give another path"
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "gone").read_text()
    assert user_error_behind(caught.value) is None, "what is not there may be our own fault"


def test_errors_in_a_ring_have_an_end() -> None:
    """As where a thread's error is raised again while it is handled."""
    first, second = OSError(5, "Input/output error"), ValueError()
    first.__context__, second.__cause__ = second, first
    assert user_error_behind(first) is None
    second.__cause__ = UserError("said")
    assert user_error_behind(first) is second.__cause__
