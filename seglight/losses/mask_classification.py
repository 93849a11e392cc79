"""Loss of nets that predict masks with classes, as a set: matching, then class and mask of each pair."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import MaskOutput
from seglight.losses.banded_loss import check_range
from seglight.losses.matched_masks import mask_loss
from seglight.losses.query_matching import Matches, Weights, match
from seglight.ops.bands import full_precision
from seglight.ops.mask_targets import MaskTargets
from seglight.ops.point_sampling import ImagePoints, random_points
from seglight.system.ranks import mean_scale


class MaskClassificationLoss(nn.Module):
    """Loss of Mask2Former (Cheng et al. 2022, arXiv 2112.01527, section 3.3) and EoMT (arXiv 2503.19108).

    In each image queries and masks are matched one to one, and a query learns class and mask of its match; the class of
    all others is "no object". Masks are compared at random points, most of them where the query is uncertain. Each
    output of the net is matched and adds its whole loss. Everything is in float32 and the same in each run.

    It differs from the published losses where these depend on what they should not:

    - Ignored pixels count for nothing, in the matching too: a sample counts as much as it is labelled, and uncertain
      points are labelled ones. The published losses take ignored pixels for pixels outside all masks. An image without
      any labelled pixel adds nothing, not even "no object".
    - The sums are divided by the masks, and by the weights of the queries, of all processes: the gradient is that of
      one process with all images.
    - The masks of an image, and all outputs, share their candidates for points, which are a function of seed, step and
      image. Of these each mask takes its own.

    Args:
        ignore_index: Mask value that is ignored.
        class_weight: Weight of the cross-entropy of the classes, in the costs too, as are the next two.
        mask_weight: Weight of the cross-entropy of the masks.
        dice_weight: Weight of the Dice loss of the masks.
        no_object_weight: Weight of a query without a match in the mean over queries.
        num_points: Number of points at which a pair is compared.
        oversample_ratio: Number of candidates for uncertain points as a multiple of `num_points`.
        importance_ratio: Share of the points that are uncertain ones.
        seed: Seed of the points: those of an image depend on the seed, on the optimizer steps before, and on the place
            of the image among those of all processes.

    Raises:
        UserError: An argument is out of range.
    """

    def __init__(
        self,
        ignore_index: int,
        class_weight: float = 2.0,
        mask_weight: float = 5.0,
        dice_weight: float = 5.0,
        no_object_weight: float = 0.1,
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_ratio: float = 0.75,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {
            "class_weight": class_weight,
            "mask_weight": mask_weight,
            "dice_weight": dice_weight,
        }.items():
            check_range(f"loss.{name}", value, 0)
        check_range("loss.no_object_weight", no_object_weight, 0)
        check_range("loss.num_points", num_points, 1)
        check_range("loss.oversample_ratio", oversample_ratio, 1)
        check_range("loss.importance_ratio", importance_ratio, 0, 1)
        check_range("loss.seed", seed, 0)
        self.ignore_index = ignore_index
        self.weights = Weights(class_weight, mask_weight, dice_weight)
        self.no_object_weight = no_object_weight
        self.seed = seed
        self.uncertain = int(importance_ratio * num_points)
        self.counts = (num_points, int(oversample_ratio * num_points), num_points - self.uncertain)

    def points(self, step: int, image: int, device: torch.device) -> ImagePoints:
        """The points of an image, a function of the seed and of these numbers.

        Args:
            step: Optimizer steps before this one.
            image: Place of the image among those of the step, on all processes.
            device: Device of the points.
        """
        return random_points((self.seed, step, image), self.counts, device)

    def forward(self, output: MaskOutput, targets: MaskTargets, points: Sequence[ImagePoints]) -> Tensor:
        """Compute the loss. In training, the sums are divided by numbers of all processes.

        Args:
            output: Output of the net for B images.
            targets: The masks of the images, on the device of the output.
            points: The points of each image.

        Returns:
            Scalar float32.

        Raises:
            UserError: A class of the targets is not one of the net.
        """
        check_classes(targets, output.class_logits.shape[-1] - 1)
        outputs = (output, *output.aux)
        with torch.autocast(output.mask_logits.device.type, enabled=False), full_precision():
            matches = match(outputs, targets, points, self.weights)
            class_scale, mask_scale = self._scales(output, targets).unbind()
            classes = torch.stack([each.class_logits.float() for each in outputs])
            masks = [each.mask_logits for each in outputs]
            by_mask = mask_loss(masks, matches, targets, points, self.uncertain, self.weights, mask_scale)
            return self.weights.classes * class_scale * self._class_loss(classes, matches, targets.labelled) + by_mask

    def denominator(self, targets: MaskTargets) -> Tensor:
        """The number of masks, a scalar on the device of the targets; accumulated batches are weighted by it."""
        return torch.tensor(targets.count, device=targets.maps.device)

    def _scales(self, output: MaskOutput, targets: MaskTargets) -> Tensor:
        """What the sums over queries and over masks are multiplied by to become means, (2,)."""
        queries = output.class_logits.shape[1]
        matched = [min(queries, len(ids)) for ids in targets.ids]
        weights = [
            number + self.no_object_weight * (queries - number)
            for number, labelled in zip(matched, targets.labelled, strict=True)
            if labelled
        ]
        divisors = torch.tensor([sum(weights), targets.count], dtype=torch.float32, device=output.class_logits.device)
        return mean_scale(divisors, over_ranks=torch.is_grad_enabled())

    def _class_loss(self, logits: Tensor, matches: Sequence[Matches], labelled: Sequence[bool]) -> Tensor:
        """Weighted sum of the cross-entropy of the classes, of logits (outputs, B, Q, C + 1)."""
        no_object = logits.shape[-1] - 1
        target = torch.full(logits.shape[:-1], no_object, device=logits.device)
        for k, (queries, masks, _, classes) in enumerate(matches):
            target[:, k].scatter_(1, queries, classes[masks])
        weight = torch.where(target == no_object, self.no_object_weight, 1.0)
        weight = weight * torch.tensor(labelled, device=logits.device).unsqueeze(1)
        entropy = F.cross_entropy(logits.flatten(0, 2), target.flatten(), reduction="none")
        return (entropy * weight.flatten()).sum()


def check_classes(targets: MaskTargets, num_classes: int) -> None:
    """Check that the classes of all masks are those of the net.

    Args:
        targets: The masks.
        num_classes: Number of classes C.

    Raises:
        UserError: One is not.
    """
    wrong = {number for classes in targets.classes for number in classes if not 0 <= number < num_classes}
    if wrong:
        raise UserError(
            f"the labels have the value {min(wrong)}, which is neither one of the {num_classes} classes nor ignored: "
            "check the label maps by `seglight doctor`"
        )
