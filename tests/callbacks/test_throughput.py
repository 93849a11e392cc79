"""Images a second and training time, as loggers receive them."""

import time
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seglight.callbacks import Throughput

SLEEP = 0.05


class Told(Logger):
    """Keeps what it receives."""

    name, version = "told", 0

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "train/seconds" in metrics:
            assert step is not None
            self.lines.append((step, dict(metrics)))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass


class Sleepy(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        time.sleep(SLEEP)
        return self.layer(batch["x"]).sum()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        time.sleep(10 * SLEEP)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_rate_since_the_step_logged_before_and_time_without_evaluation() -> None:
    """Five steps of two images, logged every two; a validation after the second and the fourth."""
    samples = [{"x": torch.ones(1), "name": str(number)} for number in range(10)]
    logger, start = Told(), time.perf_counter()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        log_every_n_steps=2,
        val_check_interval=2,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        logger=logger,
        callbacks=[Throughput()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Sleepy(), DataLoader(samples, 2), DataLoader(samples, 2))
    took = time.perf_counter() - start
    assert [step for step, _ in logger.lines] == [1, 3, 4]
    earlier = 0.0
    for (_, line), images, steps in zip(logger.lines, (4, 4, 2), (2, 2, 1), strict=True):
        seconds = line["train/seconds"] - earlier
        earlier = line["train/seconds"]
        assert seconds >= steps * SLEEP
        assert abs(line["train/images_per_second"] * seconds - images) < 1e-6
    assert earlier <= took - 2 * 10 * SLEEP
