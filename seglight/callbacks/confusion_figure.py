"""Callback that draws the confusion matrix as a figure in TensorBoard."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, Trainer
from matplotlib.figure import Figure
from torch import Tensor

from seglight.callbacks.tensorboard import last_step, writers
from seglight.system.escaping import figure as in_figure

MOST_NAMES = 200
"""Largest number of classes that are named: the figure grows with them, and its memory with their square."""

UNNAMED_SIDE = 20
"""Width and height of the figure of more classes, in inches."""


class ConfusionFigure(Callback):
    """Draws the confusion matrix after each validation, each row divided by the pixels of its true class."""

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Draw the figure."""
        for writer in writers(trainer) if pl_module.scores is not None else []:  # each closes the figure
            figure = confusion_figure(pl_module.scores.confusion, pl_module.class_names)
            writer.add_figure("val/confusion", figure, last_step(trainer))


def confusion_figure(confusion: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix, int64 (C, C), rows target, columns prediction, each row divided by its sum."""
    share = (confusion / confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    named = len(class_names) <= MOST_NAMES
    side = 2 + 0.45 * len(class_names) if named else UNNAMED_SIDE
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
    names = [in_figure(name) for name in class_names]
    if named:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    if len(class_names) <= 25:  # beyond, the numbers would overlap
        for row, values in enumerate(share):
            for column, value in enumerate(values):
                color = "white" if value > 0.5 else "black"
                axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=8)
    return figure
