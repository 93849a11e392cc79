"""The recipe as nested values, and its comments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seglight.commands.init.choice import Choice
from seglight.commands.init.facts import Machine, Size
from seglight.commands.init.nets import Batch, Net
from seglight.commands.init.schedule import Length, ema_decay, warmup

POINTS = 10
"""Least number of points of the loss curve: `fit` logs more often where a recipe gives fewer."""


@dataclass(frozen=True)
class Decisions:
    """All that was decided.

    Args:
        net: Net and optimizer.
        weights: Weights of the encoder.
        machine: Device that trains.
        precision: Precision of Lightning.
        channels_last: Memory format of the net.
        batch: Images of a step.
        workers: Loader processes.
        length: Steps, epochs and evaluations.
        crop: Crop of the training images.
        scale: Range of random scales.
        photometric: Changes of colours.
        rare_crops: Fractions of the classes for crops of rare classes, or None.
        class_weights: Weights of the classes, or None.
    """

    net: Net
    weights: Choice[str]
    machine: Machine
    precision: Choice[str]
    channels_last: Choice[bool]
    batch: Choice[Batch]
    workers: Choice[int]
    length: Length
    crop: Choice[int | Size]
    scale: Choice[list[float]]
    photometric: Choice[float]
    rare_crops: Choice[list[float]] | None
    class_weights: Choice[list[float]] | None


@dataclass
class Draft:
    """A recipe.

    Args:
        content: Keys and values.
        comments: Comment of each key that has one, by its dotted key.
    """

    content: dict[str, Any]
    comments: dict[str, str] = field(default_factory=dict)


def draft(
    decisions: Decisions,
    data: Mapping[str, Any],
    data_comments: Mapping[str, str],
    inferer: Choice[dict[str, Any]] | None,
) -> Draft:
    """Put the decisions into a recipe.

    Args:
        decisions: All that was decided.
        data: Import path and arguments of the data module, as `class_path` and `init_args`.
        data_comments: Comments on these arguments, by their name.
        inferer: Class that evaluates images that are too large to be evaluated whole, or None.
    """
    recipe = Draft({"seed_everything": 0})
    recipe.content["trainer"] = _trainer(decisions, recipe.comments)
    recipe.content["model"] = _model(decisions, recipe.comments)
    recipe.content["data"] = _data(decisions, data, data_comments, recipe.comments)
    if inferer is not None:
        recipe.content["inferer"] = inferer.value
        recipe.comments["inferer"] = inferer.reason
    return recipe


def _trainer(decisions: Decisions, comments: dict[str, str]) -> dict[str, Any]:
    length, machine = decisions.length, decisions.machine
    trainer: dict[str, Any] = {"accelerator": machine.accelerator, "devices": 1}
    comments["trainer.accelerator"] = machine.name
    if decisions.precision.value != "32-true":
        trainer["precision"] = decisions.precision.value
        comments["trainer.precision"] = decisions.precision.reason
    if length.epochs is None:
        trainer |= {"max_steps": length.steps, "max_epochs": -1}
        trainer |= {
            "check_val_every_n_epoch": None,
            "val_check_interval": length.every * decisions.batch.value.accumulated,
        }
        comments["trainer.max_steps"] = length.reason
        comments["trainer.val_check_interval"] = length.evaluated
    else:
        trainer |= {"max_epochs": length.epochs, "check_val_every_n_epoch": length.every}
        comments["trainer.max_epochs"] = length.reason
        comments["trainer.check_val_every_n_epoch"] = length.evaluated
    if length.limit_val is not None:
        trainer["limit_val_batches"] = length.limit_val
        comments["trainer.limit_val_batches"] = "images of an evaluation: all of them would take most of the time"
    if decisions.batch.value.accumulated > 1:
        trainer["accumulate_grad_batches"] = decisions.batch.value.accumulated
        comments["trainer.accumulate_grad_batches"] = "to the batch that the learning rate is for"
    decay = ema_decay(length.steps)
    trainer |= {"gradient_clip_val": 5.0, "log_every_n_steps": max(1, min(10, length.steps // POINTS))}
    comments["trainer.gradient_clip_val"] = "a single bad batch can't throw the net off"
    trainer["callbacks"] = [{"class_path": "seglight.callbacks.EMA", "init_args": {"decay": decay.value}}]
    comments["trainer.callbacks.0"] = decay.reason
    return trainer


def _model(decisions: Decisions, comments: dict[str, str]) -> dict[str, Any]:
    net = decisions.net
    model = model_part(net, decisions.weights.value, decisions.channels_last.value)
    steps = warmup(decisions.length.steps)
    model["schedule"]["init_args"]["warmup_steps"] = steps.value
    comments["model.schedule"] = steps.reason
    if decisions.class_weights is not None:
        entry = model["loss"]["init_args"]["losses"][0]
        entry["init_args"] = {"class_weights": decisions.class_weights.value}
        comments["model.loss.init_args.losses.0.init_args.class_weights"] = decisions.class_weights.reason
    comments["model.loss.init_args.losses.1"] = "the overlap itself, which small classes gain from"
    comments["model.net.init_args.encoder"] = f"{net.reason}; {decisions.weights.reason}"
    comments["model.channels_last"] = decisions.channels_last.reason
    return model


def model_part(net: Net, weights: str, channels_last: bool) -> dict[str, Any]:
    """The part `model` of a recipe, without anything that depends on the data or on the length of the training."""
    adamw = {"lr": net.lr, "weight_decay": net.weight_decay}
    model: dict[str, Any] = {
        "net": {
            "class_path": "seglight.models.EncoderDecoder",
            "init_args": {
                "encoder": {
                    "class_path": "seglight.models.TimmEncoder",
                    "init_args": {"name": net.encoder, "weights": weights},
                },
                "decoder": {"class_path": f"seglight.models.decoders.{net.decoder}", "init_args": net.decoder_args},
                **net.net_args,
            },
        },
        "loss": {
            "class_path": "seglight.losses.WeightedSum",
            "init_args": {
                "losses": [
                    {"class_path": "seglight.losses.CrossEntropy"},
                    {"class_path": "seglight.losses.Dice"},
                ],
                "weights": [1.0, 1.0],
            },
        },
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": adamw},
        "schedule": {"class_path": "seglight.optim.WarmupPoly", "init_args": {"warmup_steps": 0}},
    }
    if net.groups:
        model["groups"] = dict(net.groups)
    model["channels_last"] = channels_last
    return model


def _data(
    decisions: Decisions, data: Mapping[str, Any], data_comments: Mapping[str, str], comments: dict[str, str]
) -> dict[str, Any]:
    augmentation: dict[str, Any] = {
        "crop_size": _plain(decisions.crop.value),
        "scale": decisions.scale.value,
        "photometric": decisions.photometric.value,
    }
    comments["data.init_args.augmentation.crop_size"] = decisions.crop.reason
    comments["data.init_args.augmentation.scale"] = decisions.scale.reason
    comments["data.init_args.augmentation.photometric"] = decisions.photometric.reason
    if decisions.rare_crops is not None:
        augmentation["rare_class_crops"] = decisions.rare_crops.value
        comments["data.init_args.augmentation.rare_class_crops"] = decisions.rare_crops.reason
    arguments = dict(data["init_args"])
    arguments["batch_size"] = decisions.batch.value.size
    comments["data.init_args.batch_size"] = decisions.batch.reason
    arguments["num_workers"] = decisions.workers.value
    comments["data.init_args.num_workers"] = decisions.workers.reason
    arguments["augmentation"] = augmentation
    comments |= {f"data.init_args.{name}": comment for name, comment in data_comments.items()}
    return {"class_path": data["class_path"], "init_args": arguments}


def _plain(crop: int | Size) -> int | list[int]:
    return crop if isinstance(crop, int) else list(crop)
