"""Callback that prints the progress of a run, and writes its scores."""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import ModelParallelStrategy
from rich.table import Table
from torch import Tensor

from seglight.callbacks.tensorboard import tensorboard_loggers, writers
from seglight.checkpoints.checkpoint import SCORES, net_weights, weights_checksum
from seglight.errors import UserError, say
from seglight.interfaces import Inferer
from seglight.metrics import PROTOCOL, Scores
from seglight.metrics.confusion_content import content_of
from seglight.metrics.extremes import extremes, extremes_line
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.optim.accumulation import accumulated_batches
from seglight.system.atomic import atomic_write
from seglight.system.escaping import tag
from seglight.system.run_files import BEST, CHECKPOINTS, LAST, METRICS_FILE, SCORES_FILE
from seglight.system.terminal import Name, plain_console
from seglight.training.methods import AdversarialTraining
from seglight.training.profiler import RunTimes
from seglight.training.semantic import SegmentationModule


class RunReport(Callback):
    """Prints a line for each validation, a table of classes and the next command; writes `scores.json`.

    Only the process of rank 0 prints and writes. A checkpoint receives the scores of the last validation, with the
    checksum of the scored weights: `best.ckpt` keeps those with which it became the best.

    Args:
        folder: Run folder.
        config: Recipe as YAML, shown in TensorBoard as text.
        hyperparameters: Flat hyperparameters, shown in TensorBoard beside the final score.
        checkpoint: Checkpoint that `validate` and `test` score.
        temporary: Whether the folder is removed after an evaluation, which does not say where the scores are then.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        hyperparameters: dict[str, Any],
        checkpoint: dict[str, Any] | None = None,
        temporary: bool = False,
    ) -> None:
        self.temporary = temporary
        self.folder = folder
        self.config = config
        self.hyperparameters = hyperparameters
        self.step: int | None = None if checkpoint is None else checkpoint["global_step"]
        self.weights = None if checkpoint is None else weights_checksum(net_weights(checkpoint))
        self.kept: dict[str, Any] | None = None
        """Scores of the last validation and the fingerprint of its data."""
        self.console = plain_console()

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Print the sizes of the net and the data; show the recipe in TensorBoard."""
        self.start = time.monotonic()
        if trainer.is_global_zero:
            parameters = sum(parameter.numel() for parameter in pl_module.net.parameters())
            counts = [len(trainer.datamodule.splits[name]) for name in ("train", "val")]  # type: ignore[attr-defined]
            self.console.print(
                f"{parameters / 1e6:.1f} M parameters, {counts[0]} training and {counts[1]} validation images, "
                f"{trainer.world_size} x {trainer.strategy.root_device.type}, run {self.folder}"
            )
        indented = "\n".join(f"    {line}" for line in self.config.splitlines())  # verbatim in Markdown
        for writer in writers(trainer):
            writer.add_text("config", tag(indented, keep="\n"))

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Print the global batch, after finders and after the optimizer of a resumed run was restored."""
        if trainer.is_global_zero:
            self.console.print(global_batch(trainer, pl_module.lr))

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Compute the checksum of the scored weights while they, or their average, are in the net."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        sharded = isinstance(trainer.strategy, ModelParallelStrategy)  # no process has all weights
        self.weights = None if sharded else weights_checksum(pl_module.net.state_dict())

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Print a line in a training, otherwise the table."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if trainer.state.fn != "fit":
            self._final(pl_module, "val")
            return
        if math.isnan(pl_module.scores.miou):
            say(f"val/miou is null, {_unlabelled(pl_module.scores, 'val')}: which checkpoint is the best is not known")
        how = trainer.global_step, pl_module.inferer, self.weights
        content = write_scores(pl_module.scores, pl_module.class_names, "val", self.folder / SCORES_FILE, *how)
        self.kept = {"scores": content, "data": _fingerprint(self.folder)}
        loss = float(pl_module.train_loss)
        self.console.print(
            f"epoch {trainer.current_epoch + 1}  step {trainer.global_step}  train/loss {loss:.4f}  "
            f"val/miou {pl_module.scores.miou:.4f}  val/acc {pl_module.scores.accuracy:.4f}  "
            f"{time.monotonic() - self.start:.0f} s"
        )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the scores of the last validation."""
        if self.kept is not None:
            checkpoint[SCORES] = self.kept

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Restore the scores: the run may be saved before its next validation."""
        self.kept = checkpoint.get(SCORES)

    def on_test_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Print the table."""
        if trainer.is_global_zero:
            self._final(pl_module, "test")

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Print the paths of the results and the next command."""
        texts = {tag(key): tag(v) if isinstance(v, str) else v for key, v in self.hyperparameters.items()}
        for logger in tensorboard_loggers(trainer) if pl_module.scores is not None else []:
            logger.log_hyperparams(texts, {"final/val_miou": pl_module.scores.miou})
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._where(trainer)

    def _where(self, trainer: Trainer) -> None:
        profiler: Profiler = trainer.profiler  # type: ignore[attr-defined]
        lines = [("run", str(self.folder))]
        lines += [("stopped", reason) for reason in reasons_to_stop(trainer)]
        if isinstance(profiler, RunTimes):
            lines.append(("time", profiler.line()))
        files = [self.folder / name for name in (SCORES_FILE, "panels.png")]
        lines += [(path.stem, str(path)) for path in files if path.exists()]
        if not files[0].exists():
            lines.append(("scores", f"none: {'nothing was validated' if trainer.enable_validation else NO_VALIDATION}"))
        lines += [("curves", place) for place in curves(trainer, self.folder)]
        checkpoint = checkpoint_to_use(self.folder, trainer.lightning_module)
        lines.append(
            (
                "next",
                NO_CHECKPOINT if checkpoint is None else f"seglight predict {checkpoint} IMAGES --out masks",
            )
        )
        self.console.print("\n" + "\n".join(f"{name:<12}{text}" for name, text in lines))

    def _final(self, pl_module: Any, split: str) -> None:
        if math.isnan(pl_module.scores.miou):
            why = _unlabelled(pl_module.scores, split)
            raise UserError(f"there is no score, {why}: label them, or check which values the class table ignores")
        path = self.folder / SCORES_FILE
        how = self.step, pl_module.inferer, self.weights
        write_scores(pl_module.scores, pl_module.class_names, split, path, *how)
        self.console.print(scores_table(pl_module.scores, pl_module.class_names, split))
        if not self.temporary:
            self.console.print(f"scores      {path}")


NO_VALIDATION = "trainer.limit_val_batches is 0"
NO_CHECKPOINT = "no checkpoint was saved: trainer.enable_checkpointing is false"


def checkpoint_to_use(folder: Path, module: Any) -> Path | None:
    """The best checkpoint of a run, or its last one; of adversarial training the last one.

    There the best score is one of clean images, often of a net that is not robust yet.

    Args:
        folder: Run folder.
        module: Module of the run.
    """
    hardened = isinstance(module, SegmentationModule) and isinstance(module.method, AdversarialTraining)
    checkpoints = [folder / CHECKPOINTS / name for name in ((LAST, BEST) if hardened else (BEST, LAST))]
    return next((path for path in checkpoints if path.exists()), None)


def curves(trainer: Trainer, folder: Path) -> list[str]:
    """Commands that show the curves of a run in TensorBoard, or paths of its metrics files."""
    events = [f"tensorboard --logdir {Path(logger.log_dir)}" for logger in tensorboard_loggers(trainer)]
    tables = [f"{logger.log_dir}/metrics.csv" for logger in trainer.loggers if isinstance(logger, CSVLogger)]
    return [*events, *tables] or [str(folder / METRICS_FILE)]


def reasons_to_stop(trainer: Trainer) -> list[str]:
    """Reasons of the callbacks that ended a run before its last step."""
    reasons = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            reasons.append(callback.stopping_reason_message.removesuffix(" Signaling Trainer to stop."))
        left = callback.time_remaining() if isinstance(callback, Timer) else None
        if left is not None and left <= 0:
            reasons.append(f"after {callback.time_elapsed():.0f} s of training, by {type(callback).__name__}")
    return reasons


def global_batch(trainer: Trainer, found: float | None = None) -> str:
    """Line about the images of an optimizer step on all devices and the highest initial learning rate.

    Args:
        trainer: Trainer with its optimizers.
        found: Learning rate of a finder, which replaces that of the optimizers.
    """
    images: int = trainer.datamodule.batch_size  # type: ignore[attr-defined]
    batches = accumulated_batches(trainer, trainer.current_epoch)
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    rate = found or max(group.get("initial_lr", group["lr"]) for group in groups)
    return (
        f"global batch {trainer.world_size * images * batches} = {trainer.world_size} devices x {images} images x "
        f"{batches} accumulated, lr {rate:g}"
    )


def write_scores(
    scores: Scores,
    class_names: Sequence[str],
    split: str,
    path: Path,
    step: int | None = None,
    inferer: Inferer | None = None,
    weights: str | None = None,
) -> dict[str, Any]:
    """Write `scores.json` atomically, and return its content; a class without pixels has the value null.

    Args:
        scores: Scores of an evaluation.
        class_names: Class names in the order of the scores.
        split: Split that was scored, "val" or "test".
        path: File to write.
        step: Optimizer steps of the scored weights, which identify them.
        inferer: Inferer of the evaluation; None: the whole image in one pass.
        weights: Checksum of the scored weights, if this process has all of them.
    """
    low, high = map(_finite, scores.miou_interval)
    content = {
        "miou": _finite(scores.miou),
        "miou_interval": None if low is None else [low, high],
        "accuracy": _finite(scores.accuracy),
        "fwiou": _finite(scores.fwiou),
        "iou": _by_name(class_names, scores.iou),
        "precision": _by_name(class_names, scores.precision),
        "recall": _by_name(class_names, scores.recall),
        "f1": _by_name(class_names, scores.f1),
        "confusion": content_of(scores.confusion.numpy()),
        "images": scores.images,
        "split": split,
        "step": step,
        "weights": weights,
        "protocol": f"{PROTOCOL}; {inferer or 'whole image in one pass'}",
    }
    atomic_write(path, json.dumps(content) + "\n")
    return content


def _unlabelled(scores: Scores, split: str) -> str:
    return f"as not one pixel of the {scores.images} images of the {split} split is labelled"


def _fingerprint(folder: Path) -> dict[str, Any] | None:
    """Fingerprint of the data of the last evaluation in a run folder; None if its images were not kept."""
    try:
        return ScoredImages.load(folder / FILE).fingerprint()
    except UserError:
        return None


def scores_table(scores: Scores, class_names: Sequence[str], split: str) -> Table:
    """Table of IoU, F1, recall, precision and percentage of pixels by class, with the means in its title."""
    low, high = scores.miou_interval
    interval = "" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    title = f"{split}: miou {scores.miou:.4f}{interval}, accuracy {scores.accuracy:.4f}, {scores.images} images"
    left_out = extremes_line(len(class_names), "IoU")
    table = Table(title=f"{title}\n{left_out}" if left_out else title)
    for heading in ("class", "IoU", "F1", "recall", "precision", "% of pixels"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    true = scores.confusion.sum(1)
    share = 100 * true / true.sum()
    for index in extremes(scores.iou.tolist()):
        values = [by_class[index] for by_class in (scores.iou, scores.f1, scores.recall, scores.precision)]
        cells = ["-" if math.isnan(value) else f"{value:.4f}" for value in map(float, values)]
        table.add_row(Name(class_names[index]), *cells, f"{float(share[index]):.2f}")
    return table


def _by_name(class_names: Sequence[str], values: Tensor) -> dict[str, float | None]:
    return dict(zip(class_names, map(_finite, values.tolist()), strict=True))


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
