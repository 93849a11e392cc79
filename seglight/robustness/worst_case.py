"""The worst case over several attacks on the same images, from counts of pixels."""

import numpy as np
from numpy.typing import NDArray

from seglight.ops.iou import Counts, mean_iou


def worst_by_accuracy(hit: Counts) -> NDArray[np.intp]:
    """For each image, the attack that leaves the fewest right pixels: (images,); the first of equal ones.

    Args:
        hit: int64 (images, attacks, C), number of pixels of each class that are predicted as it.
    """
    chosen: NDArray[np.intp] = hit.sum(-1).argmin(1)
    return chosen


def worst_by_miou(hit: Counts, true: Counts, predicted: Counts) -> NDArray[np.intp]:
    """For each image an attack, so that the mean IoU of all images together is low: (images,).

    The mean IoU is no mean over images, so that the attack that is worst for one depends on those of the others. As in
    Croce, Singh & Hein 2024, arXiv 2306.12941, section 3.3, the search is greedy: image by image, the attack is
    exchanged for the one with the lowest mean IoU of the running intersections and unions, again and again until no
    exchange lowers it. It starts with `worst_by_accuracy`, and takes the images in their order, so that it gives the
    same for the same counts. No other choice for a single image is worse; a better search over all of them could be.

    Args:
        hit: int64 (images, attacks, C), number of pixels of each class that are predicted as it.
        true: int64 (images, C), number of pixels of each class.
        predicted: int64 (images, attacks, C), number of pixels predicted as each class.
    """
    chosen = worst_by_accuracy(hit)
    image = np.arange(len(hit))
    all_hit, all_predicted = hit[image, chosen].sum(0), predicted[image, chosen].sum(0)
    all_true = true.sum(0)
    lowest = mean_iou(all_hit, all_true, all_predicted)
    changed = True
    while changed:
        changed = False
        for k in image:
            hits = all_hit - hit[k, chosen[k]] + hit[k]
            predictions = all_predicted - predicted[k, chosen[k]] + predicted[k]
            scores = mean_iou(hits, all_true, predictions)
            best = scores.argmin()
            if scores[best] < lowest:
                lowest, changed = scores[best], True
                all_hit, all_predicted = hits[best], predictions[best]
                chosen[k] = best
    return chosen
