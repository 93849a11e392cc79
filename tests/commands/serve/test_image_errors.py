"""Statuses of requests that are not answered.

Covers: commands.serve.refusals.
"""

import pickle
from pathlib import Path

import pytest
from PIL import Image

from seglight.commands.serve.image_errors import status_of
from seglight.commands.serve.refusals import Refused
from seglight.errors import UserError
from seglight.images.decode import read_image


def test_a_refusal_travels_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(Refused(429, "too many", 2.0)))
    assert (copy.status, copy.reason, copy.retry_after, str(copy)) == (429, "too many", 2.0, "too many")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello", 415),  # no format at all
        (b"8BPS" + bytes(60), 415),  # Photoshop
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), 415),  # nothing but a signature
    ],
)
def test_formats_that_are_not_read(data: bytes, status: int, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert status_of(caught.value) == status


def test_a_damaged_image_and_one_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("I;16", (4, 4)).save(path)
    with pytest.raises(UserError, match="16 bits") as caught:
        read_image(path)
    assert status_of(caught.value) == 422
    Image.effect_noise((40, 40), 50).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="cut off or damaged") as caught:
        read_image(path)
    assert status_of(caught.value) == 422
