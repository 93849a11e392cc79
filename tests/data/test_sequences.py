"""Validation images and folds, by sequence where names tell of one."""

import pytest

from seglight.data.sequences import divided, validation
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


VIDEOS, FRAMES = range(6), range(30)


@pytest.mark.parametrize(
    "name",
    [
        "train/video{j}_frame_{i:04d}_jpg.rf.{h}.jpg",
        "train/clip{j}_mp4-{i}_jpg.rf.{h}.jpg",
        "a/video{j}_frame_{i:04d}_leftImg8bit.png",
        "town{j}_{i:06d}_leftImg8bit.png",
        "video{j}_frame_{i:04d}_1080p.png",
        "img/drive{j}/frame_{i:04d}_cam2.png",
        "{j:04d}/{i:06d}.png",
        "seq{j}/img/{i:06d}.png",
        "scene{j:04d}_00/color/{i}.jpg",
        "run{j}/rgb/13050311{i:02d}.175304.png",
        "480p/{animal}/{i:05d}.jpg",
        "video-{j} {i:04d}.png",
        "IMG_2024010{k}_1200{i:02d}.jpg",
        "2024-01-0{k} 10.00.{i:02d}.png",
    ],
)
def test_frames_of_a_sequence_are_in_one_part(name: str) -> None:
    animals = ("bear", "camel", "cow", "dog", "goat", "swan")
    images = {
        name.format(j=j, k=j + 1, i=i, h=f"{97 * (30 * j + i):032x}", animal=animals[j]): j
        for j in VIDEOS
        for i in FRAMES
    }
    names = sorted(images)
    for found in (validation(names), divided(names, 3)):
        videos = [{images[names[index]] for index in part} for part in found.parts]
        assert sum(map(len, videos)) == 6
        assert "by sequence" in found.how


@pytest.mark.parametrize(
    "name",
    [
        "train/{i}_jpg.rf.{h}.jpg",
        "scan{i}_aug_{k}.png",
        "{i:012d}_flip{k}.png",
        "block{i}_x{k}_y0.png",
        "house{i}_r0_c{k}.png",
        "{i:06d}_view{k}.png",
    ],
)
def test_versions_of_a_source_image_are_in_one_part(name: str) -> None:
    images = {name.format(i=139 * i, k=k, h=f"{97 * (30 * i + k):032x}"): i for i in range(20) for k in range(3)}
    names = sorted(images)
    for found in (validation(names), divided(names, 3)):
        sources = [{images[names[index]] for index in part} for part in found.parts]
        assert sum(map(len, sources)) == 20
        assert "by source image" in found.how
    assert len(validation(names).parts[1]) == 12


@pytest.mark.parametrize(
    "name",
    [
        "benign ({i}).png",
        "n0144076{c}/n0144076{c}_{n}.jpg",
        "train2017/{n:012d}.jpg",
        "part_{c}/{i:06d}.png",
        "{kind}/{i}.png",
        "camel_{i}.png",
    ],
)
def test_other_numbers_are_no_frames(name: str) -> None:
    kinds = ("cat", "dog")
    images = sorted({name.format(i=i, n=139 * i, c=i % 2, kind=kinds[i % 2]) for i in range(1, 41)})
    assert len(images) == 40
    assert validation(images).how == "at random, with seed 0"


def test_tiles_of_few_images_are_cut_into_blocks_of_each() -> None:
    images = [f"{city}_tile_{k:03d}.png" for city in ("graz", "wien") for k in range(20)]
    found = validation(images)
    assert found.parts[1] == (*range(16, 20), *range(36, 40))
    assert "2 source images only" in found.how
    few = validation([f"{k}_jpg.rf.{letter * 8}.jpg" for k in range(3) for letter in "abc"])
    assert all(few.parts)
