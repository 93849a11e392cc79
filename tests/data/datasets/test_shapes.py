import pytest

from seglight.data import ShapesDataModule
from seglight.errors import UserError


def test_splits_share_no_scene() -> None:
    datamodule = ShapesDataModule(size=32, train_images=6, eval_images=3)
    names = {
        split: {datamodule.split(split).read(k)[2] for k in range(len(datamodule.split(split)))}
        for split in ("train", "val", "test")
    }
    assert [len(found) for found in names.values()] == [6, 3, 3]
    assert len(set().union(*names.values())) == 12


def test_the_seed_never_changes_the_scenes() -> None:
    scenes = [ShapesDataModule(size=32, seed=seed).split("train").read(0)[0] for seed in (0, 1)]
    assert (scenes[0] == scenes[1]).all()


def test_a_scene_too_small_to_draw_is_refused() -> None:
    with pytest.raises(UserError, match=r"^data.size is 16: scenes need at least 32 pixels a side$"):
        ShapesDataModule(size=16)
