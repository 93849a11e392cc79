"""The best of many items."""

from seglight.commands.doctor.label_errors.best import Best


def test_the_best_are_kept_and_of_equal_ones_the_first() -> None:
    best = Best[str](3)
    for score, item in ((1, "a"), (3, "b"), (2, "c"), (2, "d"), (3, "e"), (0, "f")):
        best.add(score, item)
    assert best.ranked() == ["b", "e", "c"]
    assert best.admits(2.5)
    assert not best.admits(2)
