"""What is counted in a pass: integers that add up, histograms, and a few label maps."""

from bisect import insort
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seglight.callbacks.image_scores import in_turn
from seglight.commands.card.evaluation import Counter, Seen
from seglight.metrics import (
    BestTemperature,
    BoundaryF,
    BoundaryIoU,
    CalibrationError,
    ConfusionMatrix,
    ErrorDetection,
    ObjectSizeIoU,
)
from seglight.metrics.calibration import Calibration
from seglight.metrics.image_counts import ImageCounts
from seglight.metrics.object_size import SizeScores
from seglight.ops.confusion import confusion_matrix
from seglight.ops.iou import mean_iou
from seglight.system.ranks import rank, sum_over_ranks, world_size

# The metrics are not synchronised by torchmetrics: a process without an image would be warned, as it counted nothing.
# So are their results computed by the functions of their classes, on sums over all processes.


class Images(NamedTuple):
    """Counts of each image, in the order of the split.

    Attributes:
        names: Names of the images.
        sizes: Height and width of each image.
        confusion: Confusion matrix of each image.
        boundary: int64 (images, 6, C): intersection and union of boundary bands; predicted, right, true and found
            pixels of boundaries.
    """

    names: list[str]
    sizes: list[tuple[int, int]]
    confusion: ImageCounts
    boundary: NDArray[np.int64]


class ImageCounter(Counter):
    """Confusion and boundaries of each image.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Attributes:
        images: Counts of all images, after `gather`.
    """

    images: Images

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.confusion = ConfusionMatrix(num_classes, ignore_index, per_image=True)
        self.iou = BoundaryIoU(num_classes, ignore_index)
        self.f = BoundaryF(num_classes, ignore_index)
        self.rows: list[tuple[str, tuple[int, int], NDArray[np.int64]]] = []

    def add(self, seen: Seen) -> None:
        """Count an image."""
        self.confusion.update(seen.labels, seen.mask)
        for metric in (self.iou, self.f):
            metric.reset()
            metric.update(seen.labels, seen.mask)
        iou, f = self.iou, self.f
        counts = torch.stack([iou.intersection, iou.union, f.predicted, f.right, f.true, f.found])
        self.rows.append((seen.name, (seen.mask.shape[1], seen.mask.shape[2]), counts.cpu().numpy()))

    def gather(self) -> None:
        """Join the images of all processes."""
        rows = in_turn(self.rows)
        boundary = np.array([row for _, _, row in rows], np.int64).reshape(len(rows), 6, self.num_classes)
        names = [name for name, _, _ in rows]
        self.images = Images(names, [size for _, size, _ in rows], self.confusion.image_counts(), boundary)


class CalibrationCounter(Counter):
    """Calibration error at a temperature.

    Args:
        ignore_index: Mask value that is ignored.
        temperature: Divisor of the logits.

    Attributes:
        calibration: Errors and reliability table, after `gather`.
    """

    calibration: Calibration

    def __init__(self, ignore_index: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.error = CalibrationError(ignore_index, temperature=temperature)

    def add(self, seen: Seen) -> None:
        """Count an image."""
        self.error.update(seen.logits, seen.padded)

    def gather(self) -> None:
        """Sum over the processes."""
        error = self.error
        error.pixels, error.right, error.confidence = sum_over_ranks(error.pixels, error.right, error.confidence)
        self.calibration = Calibration(*(value.cpu() for value in CalibrationError.compute(error)))


class TemperatureCounter(Counter):
    """The best temperature.

    Its sums are of floats, whose last digits depend on their order: those of each image are kept, and summed in the
    order of the split.

    Args:
        ignore_index: Mask value that is ignored.

    Attributes:
        temperature: The temperature, after `gather`; NaN if nothing is labelled.
    """

    temperature: float

    def __init__(self, ignore_index: int) -> None:
        super().__init__()
        self.best = BestTemperature(ignore_index)
        self.rows: list[NDArray[np.float64]] = []

    def add(self, seen: Seen) -> None:
        """Count an image."""
        self.best.reset()
        self.best.update(seen.logits, seen.padded)
        self.rows.append(torch.stack([self.best.slope, self.best.curvature]).cpu().numpy())

    def gather(self) -> None:
        """Sum over the images of all processes."""
        total = torch.from_numpy(np.sum(in_turn(self.rows), axis=0)).to(self.best.slope.device)
        self.best.slope, self.best.curvature = total.unbind()
        self.temperature = float(BestTemperature.compute(self.best))


class ErrorCounter(Counter):
    """Average precision of a low confidence as a detector of errors.

    Args:
        ignore_index: Mask value that is ignored.
        temperature: Divisor of the logits.

    Attributes:
        precision: The average precision, after `gather`; NaN if no pixel is wrong.
    """

    precision: float

    def __init__(self, ignore_index: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.detection = ErrorDetection(ignore_index, temperature)

    def add(self, seen: Seen) -> None:
        """Count an image."""
        self.detection.update(seen.logits, seen.padded)

    def gather(self) -> None:
        """Sum over the processes."""
        self.detection.right, self.detection.wrong = sum_over_ranks(self.detection.right, self.detection.wrong)
        self.precision = float(ErrorDetection.compute(self.detection))


class SizeCounter(Counter):
    """Scores by the size of objects.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Attributes:
        scores: Scores by class and bin, after `gather`.
        edges: Areas between the bins.
    """

    scores: SizeScores

    def __init__(self, num_classes: int, ignore_index: int) -> None:
        super().__init__()
        self.sizes = ObjectSizeIoU(num_classes, ignore_index)
        self.edges = self.sizes.edges

    def add(self, seen: Seen) -> None:
        """Count an image."""
        self.sizes.update(seen.labels, seen.mask)

    def gather(self) -> None:
        """Sum over the processes."""
        own = self.sizes
        own.objects, own.found, own.missed, own.wrong = sum_over_ranks(own.objects, own.found, own.missed, own.wrong)
        self.scores = SizeScores(*(each.cpu() for each in ObjectSizeIoU.compute(own)))


class Extreme(NamedTuple):
    """An image among the worst or the best.

    Attributes:
        order: What the images are sorted by: mIoU, or its negative, and the index.
        image: Index of the image in the split.
        labels: (H, W) predicted labels.
    """

    order: tuple[float, int]
    image: int
    labels: NDArray[np.integer]


class ExtremeCounter(Counter):
    """Label maps of the images with the lowest and the highest mean IoU over the classes of the image.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        shown: Number of images of each kind.

    Attributes:
        worst: Images with the lowest scores, the lowest first; those without a labelled pixel are left out.
        best: Images with the highest scores, the highest first.
    """

    def __init__(self, num_classes: int, ignore_index: int, shown: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.shown = shown
        self.seen = 0
        self.worst: list[Extreme] = []
        self.best: list[Extreme] = []

    def add(self, seen: Seen) -> None:
        """Keep the label map if it is among the extremes so far."""
        index = rank() + self.seen * world_size()  # as EvalSampler distributes them
        self.seen += 1
        matrix = confusion_matrix(seen.labels, seen.mask, self.num_classes, self.ignore_index).cpu().numpy()
        score = float(mean_iou(matrix.diagonal(), matrix.sum(1), matrix.sum(0)))
        if np.isnan(score):
            return
        labels = seen.labels[0].cpu().numpy()
        for kept, sign in ((self.worst, 1), (self.best, -1)):
            insort(kept, Extreme((sign * score, index), index, labels))
            del kept[self.shown :]

    def gather(self) -> None:
        """Join those of all processes."""
        self.worst, self.best = (sorted(in_turn(kept))[: self.shown] for kept in (self.worst, self.best))
