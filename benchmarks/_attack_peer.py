"""SEA as in its published code (semseg/attacker.py, github.com/nmndeep/Robust-Segmentation, July 2024), for one net.

The same losses at full resolution, the same schedule, step sizes, tracked loss and choice of images. At each step that
code also computes the mean IoU of the best predictions so far, which nothing but its log reads: this is an option here.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[Tensor, Tensor], Tensor]
"""Loss (B, H, W) of logits (B, C, H, W) and labels (B, H, W), -1 where ignored."""


class FullSize(nn.Module):
    """A net on images in [0, 1], with logits of the size of the image.

    Args:
        net: Net that takes normalised images (B, 3, H, W) and gives logits at its stride.
        mean: Mean of R, G, B in [0, 1], (1, 3, 1, 1).
        std: Standard deviation of R, G, B in [0, 1], (1, 3, 1, 1).
        divisor: Height and width are padded to a multiple of it, as predictions are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor, divisor: int) -> None:
        super().__init__()
        self.net = net
        self.divisor = divisor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, C, H, W)."""
        height, width = image.shape[-2:]
        beyond = (0, -width % self.divisor, 0, -height % self.divisor)
        padded = (
            F.pad((image - self.mean) / self.std, beyond, mode="replicate")
            if any(beyond)
            else (image - self.mean) / self.std
        )
        logits = F.interpolate(self.net(padded), padded.shape[-2:], mode="bilinear", align_corners=False)
        return logits[..., :height, :width]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each pixel."""
    return F.cross_entropy(logits, labels, reduction="none", ignore_index=-1)


def masked(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the right pixels."""
    return (logits.max(1)[1] == labels).float().detach() * cross_entropy(logits, labels)


def balanced(weights: Tensor) -> Loss:
    """Cross-entropy of the right pixels with weights of the classes."""

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        right = (logits.max(1)[1] == labels).float().detach()
        return right * F.cross_entropy(logits, labels, reduction="none", ignore_index=-1, weight=weights)

    return loss


def jensen_shannon(logits: Tensor, labels: Tensor) -> Tensor:
    """Divergence between the probabilities and the labels."""
    p = F.softmax(logits, 1)
    labelled = (labels != -1).long()
    q = F.one_hot(labelled * labels, p.shape[1]).permute(0, 3, 1, 2).float()
    mean = (p + q) / 2
    loss = (F.kl_div(mean.log(), p, reduction="none") + F.kl_div(mean.log(), q, reduction="none")) / 2
    return (labelled.unsqueeze(1) * loss).sum(1)


def _by_image(loss: Tensor) -> Tensor:
    return loss.flatten(1).mean(1)


def running_scores(labels: Tensor, y: Tensor, classes: int) -> Tensor:
    """Mean IoU of predicted labels (B, H, W), class by class."""
    labels[y == -1] = -1
    hit = labels == y
    intersection, union = torch.zeros(classes, device=y.device), torch.zeros(classes, device=y.device)
    for label in range(classes):
        true = y == label
        intersection[label] = hit[true].float().sum()
        union[label] = true.float().sum() + (labels == label).float().sum() - intersection[label]
    return (intersection / union)[union > 0].mean()


def apgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: int,
    loss_of: Loss,
    start: Tensor,
    scored_classes: int = 0,
) -> Tensor:
    """Images (B, 3, H, W) within a radius, with the fewest right pixels of those that were met."""
    x_adv = start.clone()
    best, best_adv = x_adv.clone(), x_adv.clone()
    losses = torch.zeros([steps, len(x)], device=x.device)
    period = max(int(0.22 * steps), 1)
    least, fewer = max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    size = 2.0 * eps * torch.ones([len(x), 1, 1, 1], device=x.device)

    def look(images: Tensor, backward: bool) -> tuple[Tensor | None, Tensor, Tensor, Tensor]:
        images = images.detach().requires_grad_()
        logits = model(images)
        gradient = None
        loss = _by_image(loss_of(logits, y)).sum()
        if backward:
            gradient = torch.autograd.grad(loss, [images])[0].detach()
        tracked = _by_image(cross_entropy(logits, y)).detach()
        labels = logits.detach().max(1)[1]
        right = labels == y
        right[y == -1] = True
        return gradient, tracked, _by_image(right.float()), labels

    found, tracked, accuracy, best_labels = look(x_adv, True)
    assert found is not None
    gradient, best_gradient = found, found.clone()
    best_loss, checked_loss = tracked.clone(), tracked.clone()
    reduced = torch.ones_like(best_loss)
    old = x_adv.clone()
    since = 0
    for step in range(steps):
        move, old = x_adv - old, x_adv.clone()
        share = 0.75 if step > 0 else 1.0
        stepped = x_adv + size * torch.sign(gradient)
        stepped = torch.clamp(torch.min(torch.max(stepped, x - eps), x + eps), 0.0, 1.0)
        mixed = x_adv + (stepped - x_adv) * share + move * (1 - share)
        x_adv = torch.clamp(torch.min(torch.max(mixed, x - eps), x + eps), 0.0, 1.0)
        found, tracked, now, labels = look(x_adv, step < steps - 1)
        gradient = gradient if found is None else found
        lower = now <= accuracy
        accuracy = torch.min(accuracy, now)
        best_adv[lower] = x_adv[lower]
        if scored_classes:
            best_labels[lower] = labels[lower]
            running_scores(best_labels, y, scored_classes)
        losses[step] = tracked
        higher = tracked > best_loss
        best[higher], best_gradient[higher], best_loss[higher] = x_adv[higher], gradient[higher], tracked[higher]
        since += 1
        if since == period:
            rises = sum((losses[step - k] > losses[step - k - 1]).float() for k in range(period))
            few = (torch.as_tensor(rises) <= period * 0.75).float()
            reduced = torch.max(few, (1 - reduced) * (checked_loss >= best_loss).float())
            checked_loss = best_loss.clone()
            halved = reduced > 0
            size[halved] /= 2.0
            x_adv[halved], gradient[halved] = best[halved], best_gradient[halved]
            since, period = 0, max(period - fewer, least)
        if accuracy.sum() == 0:
            break
    return best_adv


def sea(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: int,
    weights: Tensor,
    noise: Sequence[Tensor],
    scored: bool,
) -> list[Tensor]:
    """Predicted labels (B, H, W) under each of the three attacks.

    Args:
        model: Net on images in [0, 1] with logits of full size.
        x: (B, 3, H, W) in [0, 1].
        y: (B, H, W) int64, -1 where ignored.
        eps: Radius.
        steps: Number of steps of each attack.
        weights: (C,) weight of each class.
        noise: (B, 3, H, W) values between -1 and 1 for the random start of each attack.
        scored: Whether the mean IoU is computed at each step.
    """
    counts = [int(0.3 * steps), int(0.3 * steps)]
    counts.append(steps - sum(counts))
    labels = []
    for loss, start in zip((balanced(weights), masked, jensen_shannon), noise, strict=True):
        image = (x + 2 * eps * start).clamp(0.0, 1.0)
        for factor, count in zip((2, 1.5, 1), counts, strict=True):
            image = (x + (image - x).clamp(-factor * eps, factor * eps)).clamp(0.0, 1.0)
            image = apgd(model, x, y, factor * eps, count, loss, image, len(weights) if scored else 0)
        with torch.no_grad():
            labels.append(model(image).max(1)[1])
    return labels
