"""Draws the pictures of the concept pages: `python docs/_pictures/draw.py` writes `docs/_static/pictures/*.svg`."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.support.rooms`

from svg import BLUE, GREEN, GREY, ORANGE, PURPLE, TEXT, Picture

from seglight.data.sampler import TrainSampler
from seglight.metrics.scores import Scores
from seglight.ops.confusion import confusion_matrix
from tests.support.rooms import ORDER

FOLDER = Path(__file__).parents[1] / "_static" / "pictures"
CLASSES = (GREY, BLUE, ORANGE)


def bands() -> Picture:
    """Logits, of which one band at a time is upsampled and compared with the labels."""
    picture = Picture(
        760, 330, "Logits at stride 4; one band of rows is upsampled to the label's resolution, counted, and dropped"
    )
    picture.text(100, 24, "logits of the net", bold=True)
    picture.text(100, 42, "(classes, h, w), small", 12)
    for depth in (16, 8, 0):
        picture.box(40 + depth, 76 - depth, 104, 104, BLUE, 0.25)
    picture.box(40, 111, 104, 17, BLUE, 0.9)
    picture.text(92, 212, "stored once", 12)

    picture.arrow(172, 120, 232, 120)
    picture.text(202, 108, "upsample", 12)

    picture.text(350, 24, "one band at full resolution", bold=True)
    picture.text(350, 42, "(classes, rows of the band, W)", 12)
    picture.line(250, 60, 250, 268, dashed=True)
    picture.line(450, 60, 450, 268, dashed=True)
    picture.line(250, 60, 450, 60, dashed=True)
    picture.line(250, 268, 450, 268, dashed=True)
    for depth in (8, 4, 0):
        picture.box(250 + depth, 103 - depth, 200, 34, BLUE, 0.55)
    picture.text(350, 86, "done, and dropped", 12)
    picture.text(350, 200, "not computed yet", 12)
    picture.text(350, 288, "never stored as a whole", 12)

    picture.arrow(462, 120, 506, 120)
    picture.text(608, 24, "labels", bold=True)
    picture.text(608, 42, "(H, W), uint8", 12)
    picture.box(520, 60, 176, 208, GREY, 0.15)
    picture.box(520, 103, 176, 34, ORANGE, 0.8)
    picture.text(608, 125, "the same rows", 13, fill="#fff", bold=True)
    picture.arrow(608, 268, 608, 296)
    picture.text(608, 318, "sums: loss, gradient of the logits, counts", 12)
    picture.text(300, 318, "the same result as for the whole tensor", 12)
    return picture


def resume() -> Picture:
    """A run that was never stopped, and one that was killed and resumed."""
    picture = Picture(760, 300, "A killed run starts again at its last checkpoint and ends with the same weights")
    steps, left, width = 12, 150, 44

    def steps_at(y: float, first: int, last: int, fill: str, opacity: float = 0.9) -> None:
        for step in range(first, last):
            picture.box(left + step * width, y, width - 6, 28, fill, opacity)
            picture.text(left + step * width + (width - 6) / 2, y + 19, str(step + 1), 13, fill="#fff", bold=True)

    picture.text(16, 59, "never stopped", anchor="start", bold=True)
    steps_at(40, 0, steps, BLUE)
    picture.text(16, 135, "killed in step 8", anchor="start", bold=True)
    steps_at(116, 0, 6, BLUE)
    steps_at(116, 6, 8, GREY, 0.75)
    picture.line(left + 8 * width - 3, 104, left + 8 * width - 3, 156, ORANGE)
    picture.text(left + 8 * width + 6, 135, "SIGKILL", 13, "start", ORANGE, bold=True)
    save = left + 6 * width - 3
    picture.line(save, 104, save, 222, GREEN, dashed=True)
    picture.text(save, 98, "checkpoint", 13, fill=GREEN, bold=True)
    picture.text(16, 211, "fit --resume", anchor="start", bold=True)
    steps_at(192, 6, steps, BLUE)
    picture.text(left, 211, "weights, optimizer, random states,", 12, "start")
    picture.text(left, 227, "position in the epoch, counts so far", 12, "start")
    end = left + steps * width - 6
    for y in (54, 206):
        picture.line(end + 6, y, end + 28, y, TEXT)
    picture.arrow(end + 28, 54, end + 28, 262)
    picture.text(end + 36, 284, "the same weights, to the last bit", 14, "end", bold=True)
    return picture


TRUE = [[0, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 2, 2], [0, 0, 0, 2, 2, 2]]
PREDICTED = [[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 1, 2, 2, 2], [0, 0, 0, 2, 2, 0]]


def score() -> Picture:
    """Labels and prediction of a small image, their matrix, and the score."""
    counts = confusion_matrix(torch.tensor(PREDICTED), torch.tensor(TRUE), len(CLASSES), 255)
    scores = Scores.from_confusion(counts, images=1)
    matrix = counts.numpy()
    picture = Picture(
        760, 290, "Label map, prediction, the confusion matrix of their pixels, and the IoU of each class"
    )
    for left, title, grid in ((16, "label", TRUE), (180, "prediction", PREDICTED)):
        picture.text(left + 72, 40, title, bold=True)
        for y, row in enumerate(grid):
            for x, value in enumerate(row):
                picture.box(left + 24 * x, 58 + 24 * y, 22, 22, CLASSES[value], 0.95)
                if value != TRUE[y][x]:
                    picture.text(left + 24 * x + 11, 75 + 24 * y, "x", 16, fill="#fff", bold=True)
    picture.text(170, 196, "24 pixels, each counted once", 13)
    picture.arrow(334, 106, 362, 106)
    picture.text(472, 24, "confusion matrix (int64)", bold=True)
    picture.text(489, 44, "prediction", 12)
    picture.text(371, 112, "label", 12, "start")
    for k in range(3):
        picture.box(426 + 44 * k, 50, 38, 10, CLASSES[k], 0.95)
        picture.box(408, 66 + 36 * k, 10, 30, CLASSES[k], 0.95)
        for j in range(3):
            picture.box(426 + 44 * j, 66 + 36 * k, 38, 30, GREEN if j == k else GREY, 0.8 if j == k else 0.15)
            colour = "#fff" if j == k else TEXT
            picture.text(445 + 44 * j, 86 + 36 * k, str(matrix[k, j]), 14, fill=colour, bold=j == k)
    picture.arrow(566, 106, 594, 106)
    picture.text(672, 24, "IoU", bold=True)
    tp = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - tp
    for k in range(3):
        picture.box(606, 72 + 36 * k, 18, 18, CLASSES[k], 0.95)
        picture.text(632, 86 + 36 * k, f"{tp[k]} / {union[k]} = {tp[k] / union[k]:.3f}", 13, "start")
    picture.text(380, 250, f"miou = mean of the three = {scores.miou:.3f}", 16, bold=True)
    picture.text(380, 274, "IoU = tp / (tp + fp + fn): hits, over all pixels that either map gives the class", 13)
    return picture


def samples() -> Picture:
    """The order of eight samples in three epochs, and the function that makes one of them."""
    picture = Picture(
        760, 330, "The order of samples is a function of seed and epoch; a crop is one of seed, epoch, index"
    )
    length, processes, seed = 8, 2, 0
    left, width = 130, 52
    picture.text(16, 24, f"order of {length} images, seed {seed}", 14, "start", bold=True)
    for epoch in range(3):
        y = 44 + 44 * epoch
        ranks = [TrainSampler(length, seed, rank, processes) for rank in range(processes)]
        for sampler in ranks:
            sampler.set_epoch(epoch)
        own = [[index for _, index in sampler] for sampler in ranks]
        picture.text(16, y + 21, f"epoch {epoch}", anchor="start")
        for place in range(length):
            rank = place % processes
            picture.box(left + width * place, y, width - 8, 32, (BLUE, ORANGE)[rank], 0.9)
            index = own[rank][place // processes]
            picture.text(left + width * place + (width - 8) / 2, y + 21, str(index), 14, fill="#fff", bold=True)
    for rank, colour in enumerate((BLUE, ORANGE)):
        picture.box(572, 50 + 30 * rank, 18, 18, colour, 0.9)
        picture.text(598, 64 + 30 * rank, f"process {rank} of {processes}", 13, "start")
    picture.text(572, 128, "one process alone", 13, "start")
    picture.text(572, 146, "reads both, in this order", 13, "start")

    picture.line(16, 184, 744, 184, dashed=True)
    for place, words in enumerate(("seed 0", "epoch 1", "index 5")):
        picture.box(16, 204 + 36 * place, 100, 28, GREY, 0.2)
        picture.text(66, 223 + 36 * place, words, 13)
    picture.arrow(128, 254, 176, 254)
    picture.box(186, 224, 190, 60, GREEN, 0.9)
    picture.text(281, 250, "Augmentation", 15, fill="#fff", bold=True)
    picture.text(281, 270, "a pure function", 12, fill="#fff")
    picture.arrow(388, 254, 436, 254)
    picture.box(450, 204, 130, 100, BLUE, 0.15)
    picture.box(486, 222, 60, 60, ORANGE, 0.85)
    picture.text(515, 257, "crop", 13, fill="#fff", bold=True)
    picture.text(515, 322, "image 5", 12)
    picture.text(598, 232, "the same bytes for any", 13, "start")
    picture.text(598, 250, "number of workers and", 13, "start")
    picture.text(598, 268, "processes, and after", 13, "start")
    picture.text(598, 286, "any interruption", 13, "start")
    return picture


GROUPS = (
    ("what a user calls", ("commands",), ORANGE),
    ("training, attacks", ("callbacks", "training", "robustness"), PURPLE),
    ("prediction and learning", ("inference", "losses", "models", "checkpoints"), BLUE),
    ("data and scores", ("data", "metrics", "images"), GREEN),
    ("tools", ("optim", "system", "ops"), GREY),
)


def rooms() -> Picture:
    """The rooms in their order; each imports only from those below it."""
    assert tuple(name for _, names, _ in GROUPS for name in names) == ORDER, "the rooms have changed"
    picture = Picture(760, 330, f"The rooms from top to bottom: {', '.join(ORDER)}; imports point down")
    for row, (title, names, colour) in enumerate(GROUPS):
        y = 20 + 58 * row
        picture.text(16, y + 27, title, 13, "start")
        width = 480 / len(names)
        for place, name in enumerate(names):
            picture.box(186 + width * place, y, width - 8, 42, colour, 0.9)
            picture.text(186 + width * place + (width - 8) / 2, y + 27, f"{name}/", 14, fill="#fff", bold=True)
    picture.arrow(684, 24, 684, 290)
    picture.text(694, 150, "imports", 13, "start")
    picture.text(694, 168, "point", 13, "start")
    picture.text(694, 186, "down", 13, "start")
    below = "within a row, a room imports from those to its right; errors.py and interfaces.py are open to all"
    picture.text(16, 324, below, 12, "start")
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "bands": bands,
    "resume": resume,
    "score": score,
    "samples": samples,
    "rooms": rooms,
}


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        draw().write(FOLDER / f"{name}.svg")


if __name__ == "__main__":
    main()
