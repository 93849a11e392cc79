"""Trainings of a few steps on images of noise, and the same by a plain loop."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, SequentialSampler

from seglight.losses import CrossEntropy
from seglight.training.semantic import SegmentationModule
from tests.support.tiny import TinyNet

CLASSES, SIZE = 3, (16, 24)
SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.9, weight_decay=0.01)


def samples(count: int = 8) -> list[dict[str, Any]]:
    """Images of noise, named im0, im1, ..."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=generator)
    masks = torch.randint(0, CLASSES, (count, *SIZE), dtype=torch.uint8, generator=generator)
    return [{"image": i, "mask": m, "name": f"im{k}"} for k, (i, m) in enumerate(zip(images, masks, strict=True))]


def collate(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    stacked = {key: torch.stack([sample[key] for sample in group]) for key in ("image", "mask")}
    return stacked | {"name": [sample["name"] for sample in group], "size": [SIZE] * len(group)}


class InOrder(SequentialSampler):
    """Knows no epochs."""

    def start_at(self, epoch: int, samples: int) -> None:
        pass


class Noise(LightningDataModule):
    """The same samples to train on and to validate on, `batch_size` at a time, in order."""

    def __init__(self, data: list[dict[str, Any]], batch_size: int = 2) -> None:
        super().__init__()
        self.data, self.batch_size = data, batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.data, self.batch_size, sampler=InOrder(self.data), collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.data[:2], 1, collate_fn=collate)


def constant(optimizer: torch.optim.Optimizer, steps: int) -> LambdaLR:
    return LambdaLR(optimizer, lambda step: 1.0)


def new_module(
    net: Callable[[int], nn.Module] = TinyNet, loss: Any = CrossEntropy, **options: Any
) -> SegmentationModule:
    """The same weights each time."""
    torch.manual_seed(0)
    options = {"optimizer": SGD, "schedule": constant} | options
    return SegmentationModule(net, CLASSES, 255, ["a", "b", "c"], [(0, 0, 0)] * CLASSES, loss, **options)


def new_trainer(*callbacks: Callback, **options: Any) -> Trainer:
    """One epoch on the CPU that writes nothing, says nothing and is not validated."""
    quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing", "use_distributed_sampler")
    defaults = {"accelerator": "cpu", "max_epochs": 1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    return Trainer(**defaults | dict.fromkeys(quiet, False) | options, callbacks=list(callbacks))


def fit(
    data: list[dict[str, Any]],
    *callbacks: Callback,
    module: SegmentationModule | None = None,
    batch_size: int = 2,
    **options: Any,
) -> SegmentationModule:
    """An epoch; `options` are the trainer's."""
    module = module or new_module()
    new_trainer(*callbacks, **options).fit(module, datamodule=Noise(data, batch_size))
    return module


def plain_loop(batches: list[list[dict[str, Any]]], loss: Any = CrossEntropy, each: Any = None) -> nn.Module:
    """The same by plain torch: a step for each batch; `each(net, optimizer, step)` is called before it."""
    net = new_module().net
    flat, rest = ([p for p in net.parameters() if (p.ndim == 1) == one] for one in (True, False))
    optimizer = SGD([{"params": rest}, {"params": flat, "weight_decay": 0}])
    for step, group in enumerate(batches):
        if each is not None:
            each(net, optimizer, step)
        batch = collate(group)
        optimizer.zero_grad()
        loss(255)(net(batch["image"]), batch["mask"]).backward()
        optimizer.step()
    return net


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    """Parameters and buffers are equal up to rounding."""
    theirs: dict[str, Tensor] = expected.state_dict()
    assert found.state_dict().keys() == theirs.keys()
    for key, value in found.state_dict().items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-5, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")


class Two(nn.Module):
    """TinyNet's layers as encoder and head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        tiny = TinyNet(num_classes)
        self.encoder = nn.Sequential(tiny.body, tiny.norm, nn.ReLU())
        self.head = tiny.head

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.encoder(image.float() / 255))
        return logits
