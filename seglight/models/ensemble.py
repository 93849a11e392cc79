"""Nets of other nets: the mean of their predictions, and a learned combination of them."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import load_net, read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard
from seglight.checkpoints.temperature import say_dropped
from seglight.checkpoints.trust import check_classes
from seglight.data.classes import FromCheckpoints
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.interfaces import Net, NetFactory, SegOutput, heads_of, seg_output
from seglight.models.layers import resize_to
from seglight.system.class_paths import imported
from seglight.system.configs import with_classes


class Combination(Net, FromCheckpoints):
    """A net of other nets, its `members`: nets by class_path, or paths of checkpoints.

    Args:
        num_classes: Number of classes C.
        members: Factories of nets, or checkpoints with their weights.

    Attributes:
        members: The nets.
        classes: Classes of the checkpoints; None: no member is a checkpoint.

    Raises:
        UserError: There are no members, or a checkpoint can't be read or is for other classes or images than the first.
    """

    def __init__(self, num_classes: int, members: Sequence[str | NetFactory]) -> None:
        super().__init__()
        if not members:
            raise UserError("model.net.members: none: give checkpoints, or nets by class_path")
        self.members = nn.ModuleList()
        pixels: Bands | None = None
        for member in members:
            if isinstance(member, str):
                net, card = load_net(member)
                self.classes, pixels = self.classes or card.classes, pixels or card.pixels
                difference = self.classes.difference(card.classes)
                if difference:
                    raise UserError(f"{member}: {difference}: all members must be of the first one's class table")
                difference = pixels.difference(card.pixels)
                if difference:
                    raise UserError(
                        f"{member}: the first one and it have {difference}: all members must read the same images"
                    )
                say_dropped(member, card, "as a net of several nets is calibrated by one of its own")
                self.members.append(net.train())
            else:
                self.members.append(member(num_classes))
        self.heads = tuple(
            f"members.{index}.{prefix}" for index, net in enumerate(self.members) for prefix in heads_of(net)
        )


class Ensemble(Combination):
    """The weighted mean of the members' probabilities, or of their logits (Lakshminarayanan et al., arXiv 1612.01474).

    The mean is computed at the stride of the finest member, to which the others' logits are interpolated, and returned
    as logits whose softmax it is. Between the points of that stride they are interpolated as those of any net: an
    ensemble of one member equals that net, up to rounding.

    Args:
        num_classes: Number of classes C.
        members: Nets to train together, or checkpoints.
        weights: Weight of each member, of any sum; None: equal weights.
        average: "probabilities", or "logits": the geometric mean of the probabilities, which favours agreement.

    Raises:
        UserError: There are no members, their classes differ, or the weights do not fit them.
    """

    shares: Tensor

    def __init__(
        self,
        num_classes: int,
        members: Sequence[str | NetFactory],
        weights: Sequence[float] | None = None,
        average: Literal["probabilities", "logits"] = "probabilities",
    ) -> None:
        super().__init__(num_classes, members)
        shares = [1.0] * len(members) if weights is None else list(weights)
        if len(shares) != len(members) or min(shares) < 0 or not 0 < sum(shares) < math.inf:
            raise UserError(
                f"model.net.weights {shares} for {len(members)} members: give one a member, none below 0, not all 0"
            )
        self.register_buffer("shares", torch.tensor(shares) / sum(shares))
        self.average = average

    def forward(self, image: Tensor) -> SegOutput:
        """Images (B, bands, H, W) to logits (B, C, h, w) at the finest member's stride, and all auxiliary heads'."""
        outputs = [seg_output(member(image)) for member in self.members]
        scores = log_probabilities([output.logits for output in outputs])
        shares = self.shares.view(-1, 1, 1, 1, 1)
        logits = (shares * scores).sum(0) if self.average == "logits" else (shares.log() + scores).logsumexp(0)
        return SegOutput(logits, tuple(aux for output in outputs for aux in output.aux))


class Stacking(Combination):
    """A learned combination of frozen members (Wolpert 1992): a weight for each class of each member, a bias a class.

    Initially it is the mean of the members' log-probabilities. Train it on images that the members were not trained on,
    for on those they are too confident.

    Args:
        num_classes: Number of classes C.
        members: Checkpoints, or nets whose weights are in a checkpoint of the stack.

    Raises:
        UserError: There are no members, or their classes differ.
    """

    def __init__(self, num_classes: int, members: Sequence[str | NetFactory]) -> None:
        super().__init__(num_classes, members)
        self.members.requires_grad_(False)
        # a group is a class: it reads only the scores of that class, one from each member
        self.combine = nn.Conv2d(num_classes * len(members), num_classes, 1, groups=num_classes)
        nn.init.constant_(self.combine.weight, 1 / len(members))
        nn.init.zeros_(self.combine.bias)  # type: ignore[arg-type]  # there is one
        self.heads = (*self.heads, "combine.")

    def forward(self, image: Tensor) -> SegOutput:
        """Images (B, bands, H, W) to logits (B, C, h, w) at the finest member's stride."""
        self.members.eval()  # not in __init__: Lightning would warn of modules in evaluation mode
        with torch.no_grad():
            scores = log_probabilities([seg_output(member(image)).logits for member in self.members])
        logits: Tensor = self.combine(scores.permute(1, 2, 0, 3, 4).flatten(1, 2))
        return SegOutput(logits)


def log_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Float32 log-probabilities (M, B, C, h, w) of M nets' logits, brought to the finest of their sizes."""
    finest = max(logits, key=lambda member: member.shape[-2] * member.shape[-1])
    with torch.autocast(finest.device.type, enabled=False):
        return torch.stack([resize_to(member.float(), finest).log_softmax(1) for member in logits])


def in_full(config: Any) -> Any:
    """Copy of a net's configuration in which each checkpoint among the members is replaced by its own configuration.

    Raises:
        UserError: A checkpoint can't be read.
    """
    return with_classes(config, _with_members)


def _with_members(spec: dict[str, Any]) -> dict[str, Any]:
    found = imported(spec["class_path"])
    if not isinstance(found, type) or not issubclass(found, Combination):
        return spec
    members = [_described(member) for member in spec["init_args"]["members"]]
    return {**spec, "init_args": {**spec["init_args"], "members": members}}


def _described(member: Any) -> Any:
    if not isinstance(member, str):
        return member
    card: ModelCard = read_checkpoint(member)[KEY]
    net = card.net
    check_classes(member, net)
    return in_full(net)
