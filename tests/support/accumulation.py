"""One step over uneven images, ours and torch's own."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglight.losses import CrossEntropy
from seglight.training.semantic import SegmentationModule
from tests.support.tiny import TinyNet

CLASSES, IGNORE, LR = 3, 255, 20.0


WEIGHTS = [0.2, 1.0, 4.0]


def uneven_images(count: int) -> list[tuple[Tensor, Tensor]]:
    """Images with a labelled share from nothing to everything."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 16, 24), dtype=torch.uint8, generator=generator)
    masks = torch.randint(0, CLASSES, (count, 16, 24), dtype=torch.uint8, generator=generator)
    for mask, labelled in zip(masks, (384, 3, 0, 0, 150, 20, 0, 0, 7, 0), strict=False):
        mask.view(-1)[labelled:] = IGNORE
    return list(zip(images, masks, strict=True))


def collate(samples: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    images, masks = zip(*samples, strict=True)
    return {"image": torch.stack(images), "mask": torch.stack(masks), "name": ["x"] * len(images)}


def new_module(loss: Any, dtype: torch.dtype) -> SegmentationModule:
    torch.manual_seed(0)
    module = SegmentationModule(
        partial(TinyNet, norm=False), CLASSES, IGNORE, ["a", "b", "c"], [(0, 0, 0)] * CLASSES, loss,
        optimizer=partial(torch.optim.SGD, lr=LR),
        schedule=lambda optimizer, steps: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
    )  # fmt: skip
    module.net.to(dtype)
    return module


def ours(
    images: list[Any],
    batch_size: int,
    batches: int,
    loss: Any = CrossEntropy,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> list[Tensor]:
    """The weights after an epoch of SGD; the net's sums, in float64, are alike on any processor."""
    module = new_module(loss, dtype)
    trainer = Trainer(
        accelerator="cpu", max_epochs=1, accumulate_grad_batches=batches, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, **options,
    )  # fmt: skip
    loader = DataLoader(images, batch_size, collate_fn=collate)
    trainer.fit(module, loader, loader)
    return list(module.net.parameters())


def torchs(
    windows: list[list[Any]],
    weight: Tensor | None = None,
    clip: float | None = None,
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """The same by plain torch: one step for each window, on all of its images at once."""
    net = new_module(CrossEntropy, dtype).net
    optimizer = torch.optim.SGD(net.parameters(), LR)
    for window in windows:
        batch = collate(window)
        logits = F.interpolate(net(batch["image"]), (16, 24), mode="bilinear")
        pixels = F.cross_entropy(logits, batch["mask"].long(), weight, ignore_index=IGNORE, reduction="sum")
        valid = batch["mask"][batch["mask"] != IGNORE].long()
        mass = len(valid) if weight is None else weight[valid].sum()
        optimizer.zero_grad()
        (pixels / max(mass, 1e-9)).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return list(net.parameters())


def assert_same(found: list[Tensor], expected: list[Tensor], share: float = 1e-6) -> None:
    """Differences stay below this share of the largest step of a tensor."""
    for a, b, start in zip(found, expected, new_module(CrossEntropy, expected[0].dtype).net.parameters(), strict=True):
        step = float((b - start).detach().abs().max())
        assert step > 0
        torch.testing.assert_close(a, b, rtol=0, atol=share * step)
