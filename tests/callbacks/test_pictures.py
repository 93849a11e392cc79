"""The confusion figure and the image panels.

Covers: callbacks.confusion_figure, callbacks.panels.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from seglight.callbacks import ImagePanels
from seglight.callbacks.confusion_figure import confusion_figure
from seglight.images.bands import RGB, Bands


def test_confusion_figure_of_many_classes_is_no_larger() -> None:
    figure = confusion_figure(torch.eye(1000, dtype=torch.int64), [f"class {k}" for k in range(1000)])
    assert figure.get_size_inches().tolist() == [20, 20]
    assert not [label.get_text() for label in figure.axes[0].get_xticklabels() if "class" in label.get_text()]


def test_confusion_figure_shows_shares_of_the_true_class() -> None:
    figure = confusion_figure(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), ["sky", "road", "tree"])
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    numbers = {text.get_position(): text.get_text() for text in axes.texts}  # (column, row)
    assert numbers[0, 0] == "75"
    assert numbers[1, 0] == "25"
    assert numbers[1, 1] == "100"
    assert [numbers[column, 2] for column in range(3)] == ["0", "0", "0"]  # a class that is nowhere
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sky", "road", "tree"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])


def test_confusion_figure_of_many_classes_has_no_numbers() -> None:
    figure = confusion_figure(torch.eye(26, dtype=torch.int64), [str(index) for index in range(26)])
    assert not figure.axes[0].texts


def test_panels_are_written_for_evenly_spaced_batches(tmp_path: Path) -> None:
    trainer = SimpleNamespace(num_val_batches=[5], is_global_zero=True, sanity_checking=False, loggers=[])
    module = SimpleNamespace(palette=[(0, 0, 0), (255, 0, 0)], class_names=["road", "sky"], ignore_index=255, bands=RGB)
    panels = ImagePanels(tmp_path, count=3)
    panels.on_validation_epoch_start(trainer, module)
    for index in range(5):
        image = torch.full((1, 3, 4, 6), 50 * index, dtype=torch.uint8)
        labels = torch.zeros(1, 4, 6, dtype=torch.uint8)
        panels.on_validation_batch_end(
            trainer, module, labels, {"image": image, "mask": labels, "size": [tuple(labels.shape[1:])]}, index
        )
    panels.on_validation_end(trainer, module)
    picture = np.asarray(Image.open(tmp_path / "panels.png"))
    # columns of 6 pixels are enlarged 16 times; a line of headings, three panels with white between them, a legend
    head, foot, high = 19, 19, 16 * 4
    assert picture.shape == (head + 3 * (high + 4) + foot, 4 * 6 * 16, 3)
    rows = [head + k * (high + 4) for k in range(3)]
    assert [picture[row, 0].tolist() for row in rows] == [[0] * 3, [100] * 3, [200] * 3]
    assert (picture[rows[0] + high : rows[1]] == 255).all()
    assert (picture[rows[0], 18 * 16 :] == 235).all()  # all right
    assert [path.name for path in tmp_path.iterdir()] == ["panels.png"]


def test_panels_of_other_bands_are_stretched_and_grey_without_data(tmp_path: Path) -> None:
    names = ("blue", "green", "red", "nir")
    bands = Bands(names, "uint16", (900.0,) * 4, (100.0,) * 4, nodata=0)
    trainer = SimpleNamespace(num_val_batches=[1], is_global_zero=True, sanity_checking=False, loggers=[])
    palette = [(0, 0, 0), (255, 0, 0)]
    module = SimpleNamespace(palette=palette, class_names=["road", "sky"], ignore_index=255, bands=bands)
    values = np.random.default_rng(0).integers(500, 4000, (4, 96, 96)).astype(np.uint16)
    values[:, :10] = 0
    image, mask = torch.from_numpy(values)[None], torch.zeros(1, 96, 96, dtype=torch.uint8)
    mask[:, :10] = 255
    panels = ImagePanels(tmp_path, count=1)
    panels.on_validation_epoch_start(trainer, module)
    batch = {"image": image, "mask": mask, "size": [(96, 96)]}
    panels.on_validation_batch_end(trainer, module, torch.ones(1, 96, 96, dtype=torch.uint8), batch, 0)
    parts = np.split(panels.panels[0], 4, axis=1)
    assert all((part[:10] == 120).all() for part in parts)
    for column, band in enumerate((2, 1, 0)):
        low, high = np.percentile(values[band, 10:], (2, 98))
        expected = ((values[band, 10:] - low) / (high - low) * 255).round().clip(0, 255)
        assert np.abs(parts[0][10:, :, column] - expected).max() <= 1
    assert (parts[2][10:] == palette[1]).all()
    panels.on_validation_end(trainer, module)
    assert (tmp_path / "panels.png").exists()
