"""The recipe of masks with classes: killed and resumed it ends with the same bytes; what it leaves predicts."""

from functools import partial
from pathlib import Path

import pytest
import yaml

import seglight
from seglight.data.datasets.shapes_scenes import CLASSES, draw_scene
from tests.support.resumable import RECIPE, differences, final, fit, kill_before_step, wait

CONFIG = Path(__file__).parents[2] / "configs" / "shapes" / "eomt.yaml"


def write_recipe(folder: Path) -> None:
    """The model of the recipe with a run of 18 steps, averages and checkpoints on the way."""
    recipe = yaml.safe_load(RECIPE) | {"model": yaml.safe_load(CONFIG.read_text())["model"]}
    recipe["model"]["schedule"]["init_args"]["warmup_steps"] = [2, 3]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


@pytest.mark.slow
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_bytes(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    assert wait(fit(tmp_path / "whole")) == 0, (tmp_path / "whole.log").read_text()
    assert wait(fit(tmp_path / "killed", before=partial(kill_before_step, 10))) < 0
    assert wait(fit(tmp_path / "killed")) == 0, (tmp_path / "killed.log").read_text()
    assert "resumed at step 8" in (tmp_path / "killed.log").read_text()
    whole = final(tmp_path / "whole")
    assert not differences(whole, final(tmp_path / "killed"))
    image, mask = draw_scene(0, 72)
    labels = seglight.load(tmp_path / "whole" / "checkpoints" / "last.ckpt").predict(image)
    assert labels.shape == mask.shape
    assert labels.max() < len(CLASSES)
