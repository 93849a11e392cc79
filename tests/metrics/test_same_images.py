"""Images of two evaluations are matched by name; the cases are worked by hand."""

from seglight.metrics.same_images import image_order


def test_the_same_paths_in_another_order() -> None:
    found = image_order(["d/a.png", "d/b.png", "e/a.png"], ["e/a.png", "d/a.png", "d/b.png"])
    assert found.places is not None
    assert found.places.tolist() == [1, 2, 0]


def test_the_same_files_in_another_folder() -> None:
    found = image_order(["/here/a.png", "/here/b.png"], ["/there/b.png", "/there/a.png"])
    assert found.places is not None
    assert found.places.tolist() == [1, 0]


def test_an_image_that_only_one_has_is_named() -> None:
    assert image_order(["a", "b"], ["a"]) == (None, "b", None)
    assert image_order(["a"], ["a", "b"]) == (None, None, "b")
    assert image_order(["a", "c"], ["a", "b"]) == (None, "c", "b")


def test_names_that_occur_twice_are_the_same_only_in_the_same_order() -> None:
    twice = image_order(["a", "a", "b"], ["a", "a", "b"])
    assert twice.places is not None
    assert twice.places.tolist() == [0, 1, 2]
    assert image_order(["a", "a", "b"], ["a", "b", "a"]) == (None, None, None)
    # by the names of the files alone, the swapped folders would not be noticed
    assert image_order(["/x/1/a", "/x/2/a"], ["/y/2/a", "/y/1/a"]) == (None, None, None)
