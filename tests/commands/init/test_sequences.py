"""Validation images and folds, by sequence where names tell of one."""

import pytest

from seglight.commands.init.sequences import divided, validation
from seglight.errors import UserError


def test_images_without_order_are_divided_at_random() -> None:
    images = [f"img/{k}.jpg" for k in range(10)]
    found = validation(images)
    train, val = found.parts
    assert (len(train), len(val)) == (8, 2)
    assert sorted([*train, *val]) == list(range(10))
    assert "random" in found.how
    assert validation(images) == found
    assert val != (8, 9)


def test_sequences_stay_whole() -> None:
    images = [
        f"{drive}_{frame:05d}.png"
        for drive in ("0001TP", "0006R0", "0016E5", "Seq05", "Seq06", "Seq07")
        for frame in range(0, 400, 40)
    ]
    found = validation(images)
    train, val = ({images[index].split("_")[0] for index in part} for part in found.parts)
    assert not train & val
    assert len(found.parts[1]) in (10, 20)
    assert "6" in found.how
    assert "sequence" in found.how


def test_one_sequence_is_cut_once() -> None:
    images = [f"frame_{k:04d}.png" for k in range(50)]
    found = validation(images)
    assert found.parts[1] == tuple(range(40, 50))
    assert "consecutive frames" in found.how


def test_numbers_that_are_no_frames() -> None:
    """Breeds of a data set of pets, and ids of photographs, are numbered and no sequences."""
    pets = [f"{breed}_{k}.jpg" for breed in ("Abyssinian", "beagle", "pug") for k in range(1, 12)]
    ids = [f"{139 * k:012d}.jpg" for k in range(30)]
    assert "random" in validation(pets).how
    assert "random" in validation(ids).how


def test_folds_are_disjoint_and_complete() -> None:
    images = [f"{k}.jpg" for k in range(11)]
    parts = divided(images, 3).parts
    assert sorted(index for part in parts for index in part) == list(range(11))
    assert [len(part) for part in parts] == [4, 4, 3]


def test_copies_of_an_image_are_in_one_part() -> None:
    images = [f"{k}.jpg" for k in range(8)]
    copies = {4: 0, 5: 0, 6: 1}
    for parts in (divided(images, 3, copies).parts, validation(images, copies).parts):
        part_of = {index: number for number, part in enumerate(parts) for index in part}
        assert sorted(part_of) == list(range(8))
        assert all(part_of[copy] == part_of[original] for copy, original in copies.items())
    with pytest.raises(UserError, match="1 different labelled image"):
        validation(["a.jpg", "b.jpg"], {1: 0})


def test_too_few_images() -> None:
    assert [len(part) for part in validation(["a.jpg", "b.jpg"]).parts] == [1, 1]
    with pytest.raises(UserError, match="1 labelled image: at least 2"):
        validation(["a.jpg"])
    with pytest.raises(UserError, match="2 different labelled images for 5 parts"):
        divided(["a.jpg", "b.jpg"], 5)
