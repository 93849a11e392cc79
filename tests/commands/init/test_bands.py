"""What `init` writes for images that are not 8-bit RGB, with made-up measurements.

Covers: commands.init.measured.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from seglight.commands.init.choice import Choice
from seglight.commands.init.decide import on_bands
from seglight.commands.init.question import Answer
from seglight.commands.init.trials import Trials
from seglight.images.bands import RGB, Bands
from tests.support.command import Ran
from tests.support.fabricate_bands import aerial


def test_bands_are_written_with_what_they_are(
    seglight_cli: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Trials, "_measured", lambda trials, question: Answer(0.01, 0.01, 10**9))
    monkeypatch.chdir(tmp_path)
    root = aerial(tmp_path / "own", train=6, val=2)
    (root / "classes.yaml").unlink()
    ran = seglight_cli("init", "own", "--out", "net", "--time", "10m", "--device", "cpu")
    assert ran.rc == 0, ran.err
    assert (
        "The images have 4 bands of uint8 (red, green, blue, band4): their mean and std were measured in 6" in ran.out
    )
    assert "The files state no name of band4: change it in `bands`." in ran.out
    lines = Path("net/classes.yaml").read_text().splitlines()
    assert lines[:4] == [
        "# In the order of the files; mean and std in their units, of 6 training images.",
        "bands:",
        "  names: [red, green, blue, band4]",
        "  type: uint8",
    ]
    values = np.concatenate([tifffile.imread(path).reshape(-1, 4) for path in root.glob("images/train/*")]).astype(
        float
    )
    bands = Bands.from_dict(yaml.safe_load("\n".join(lines))["bands"])
    assert bands.mean == pytest.approx(values.mean(0), rel=1e-4)
    assert bands.std == pytest.approx(values.std(0), rel=1e-4)
    recipe = Path("net/recipe.yaml").read_text()
    assert yaml.safe_load(recipe)["data"]["init_args"]["augmentation"]["photometric"] == 0
    assert "photometric: 0.0 # none: it changes colours of RGB; per_band would change each band" in recipe


def test_what_weights_of_imagenet_are_for_bands() -> None:
    weights = Choice("hub", "ImageNet weights")
    assert on_bands(weights, RGB) is weights
    four = Bands(("B02", "B03", "B04", "B08"), "uint16", (0.0,) * 4, (1.0,) * 4)
    assert on_bands(weights, four).reason == (
        "ImageNet weights: B02, B03, B04 keep the filters of their colours, the other band starts from the mean of "
        "red, green and blue"
    )
    heat = Bands(("heat",), "float32", (0.0,), (1.0,))
    assert on_bands(weights, heat).reason == "ImageNet weights: heat starts from the mean of red, green and blue"
    random = Choice("random", "untrained")
    assert on_bands(random, four) is random
