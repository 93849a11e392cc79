"""The steps of `card`: measure, describe, calibrate, write."""

import logging
import warnings
from dataclasses import replace
from datetime import datetime
from typing import Any

from lightning.pytorch import Trainer

from seglight import __version__
from seglight.callbacks.image_scores import in_turn
from seglight.checkpoints.checkpoint import load_net
from seglight.checkpoints.temperature import keep_temperature
from seglight.commands.card.assemble import measured_parts, protocol
from seglight.commands.card.calibrated import calibrated_path, check_calibrated
from seglight.commands.card.contents import contents_of
from seglight.commands.card.curves import curves_of
from seglight.commands.card.evaluation import start_processes
from seglight.commands.card.examples import examples
from seglight.commands.card.facts import cost_of, data_facts, model_facts
from seglight.commands.card.folder import PAGE, PICTURES, CardFolder
from seglight.commands.card.measure import Measured, Net, measure
from seglight.commands.card.names import names_of
from seglight.commands.card.options import PARTS, Task, card_parser, checkpoint_of, identity_of, task_of
from seglight.commands.card.page import write_page
from seglight.commands.card.progress import tell
from seglight.commands.card.robustness import Trials, check_trials, robustness_of, unsuited
from seglight.commands.card.scores import image_scores
from seglight.commands.recipe import instantiate, parse_recipe
from seglight.data.datamodule import FileDataModule
from seglight.errors import UserError
from seglight.images.bands import RGB
from seglight.interfaces import bands_of
from seglight.metrics.boundary_counts import FILE as BOUNDARIES
from seglight.metrics.boundary_counts import BoundaryCounts
from seglight.metrics.groups import groups_of
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.models.memory_format import FORMATS
from seglight.system.parsing import parser_errors
from seglight.system.ranks import world_size
from seglight.system.recipe_files import config_paths
from seglight.system.terminal import plain_console
from seglight.training.resume.folder import check_outside


def card(task: Task, identity: dict[str, str]) -> None:
    """Write the card of a net; all processes measure, the first one writes.

    Args:
        task: What the card is made of.
        identity: Options that numbers depend on: an unfinished card is continued only if they are the same.

    Raises:
        UserError: The model, the data or the groups are wrong, or the folder holds anything else.
    """
    data = task.data
    check_outside(task.out, data.root if isinstance(data, FileDataModule) else None, "--out")
    net, model_card = load_net(task.model, task.trust)
    if list(model_card.class_names) != data.class_names:
        difference = data.classes.difference(model_card.classes)
        raise UserError(f"{task.model}: the data and the model have {difference}: give the recipe of its data")
    difference = (model_card.image or RGB).difference(data.bands)
    if difference:
        raise UserError(f"{task.model}: the net and the data have {difference}: give images that it was trained for")
    split = data.split(task.split)
    # names that are no paths take a pass over the images
    needs_names = task.groups is not None or (task.trials is not None and task.trials.reference is not None)
    names = names_of(split) if needs_names else []
    groups_of(names, task.groups)
    left_out = None if task.trials is None else unsuited(model_card.pixels)
    if left_out is not None:
        tell(f"--robustness is left out: {left_out}")
        task = replace(task, trials=None)
    if task.trials is not None:
        check_trials(task.trials, task.split, names, data.classes, bands_of(net), task.trust)
    model = model_facts(str(task.model), net, model_card)
    trainer = task.machine.trainer()
    contents = contents_of(model["checksum"], model_card, split, task.groups)
    folder = CardFolder(task.out, {"seglight": __version__, **contents, **identity})
    copy = calibrated_path(task.out, task.model) if task.calibrate else None
    check_calibrated(copy, task.out, model["checksum"], folder.finished, task.trust)
    applied = Net(net, FORMATS[model_card.channels_last], model_card.temperature or 1.0, task.inferer)
    content = folder.finished or _measured(task, trainer, folder, applied, model)
    robustness = None if left_out is None else {"left_out": left_out}
    if task.trials is not None:
        robustness = _robustness(task, task.trials, trainer, applied, content)
    if trainer.is_global_zero:
        _finish(task, folder, content, robustness)


def _measured(task: Task, trainer: Trainer, folder: CardFolder, net: Net, model: dict[str, Any]) -> dict[str, Any]:
    """All that the passes tell, the same on all processes."""
    if trainer.is_global_zero:
        folder.keep(None)
        images = len(task.data.split(task.split))
        tell(f"measuring   {images} images of {task.split} in 2 passes, then pictures and a look at the data")
    measured = measure(trainer, net, task.data, task.split)
    groups_of(measured.images.names, task.groups)  # so that no process waits for one that refuses them
    if not trainer.is_global_zero:
        return in_turn(list[dict[str, Any]]())[0]
    content = _content(task, trainer, net, model, measured)
    folder.keep(content)
    return in_turn([content])[0]


def _robustness(task: Task, trials: Trials, trainer: Trainer, net: Net, content: dict[str, Any]) -> dict[str, Any]:
    """The net on corrupted images and under attack, the same on all processes."""
    if trainer.world_size != world_size():  # of a resumed card nothing has started the processes yet
        start_processes(trainer)
    task.data.setup("validate" if task.split == "val" else "test")
    pixels = [row["pixels"] for row in content["classes"]]
    device = trainer.strategy.root_device
    split = task.data.splits[task.split]
    return robustness_of(net, task.data, task.split, split, trials, pixels, device, task.out, task.trust)


def _content(task: Task, trainer: Trainer, net: Net, model: dict[str, Any], measured: Measured) -> dict[str, Any]:
    """What the first process makes of the counts, and the files beside card.json."""
    data = task.data
    images = measured.images
    split = data.splits[task.split]
    scores = image_scores(images)
    parts = measured_parts(measured, data.class_names, data.palette, task.groups)
    # as in a run folder: the number of images of a step of one process
    batch = min(data.eval_batch_size, len(range(0, len(images.names), trainer.world_size)))
    ScoredImages(task.split, batch, images.names, images.confusion).save(task.out / FILE)
    BoundaryCounts(images.boundary[:, 0], images.boundary[:, 1]).save(task.out / BOUNDARIES)
    return {
        "seglight": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "model": model,
        "recipe": task.recipe,
        "split": task.split,
        "protocol": protocol(task.inferer),
        **parts,
        "worst": examples("worst", measured.worst, images, scores, split, data, task.out),
        "best": examples("best", measured.best, images, scores, split, data, task.out),
        "curves": None if task.run is None else curves_of(task.run),
        "cost": cost_of(net.net, images.sizes, trainer.strategy.root_device),
    }


def _finish(task: Task, folder: CardFolder, content: dict[str, Any], robustness: dict[str, Any] | None) -> None:
    """Describe the data, keep the temperature, write page and numbers, and print where they are."""
    content = {**content, "data": data_facts(task.data), "robustness": robustness}
    console = plain_console()
    temperature = content["calibration"]["temperature"]
    calibrated = calibrated_path(task.out, task.model)
    if task.calibrate and not calibrated.exists():  # an interrupted card may have written it
        keep_temperature(task.model, temperature, calibrated)
    write_page(content, task.out / PICTURES, task.out / PAGE)
    folder.finish(content)
    score = content["score"]
    interval = "" if score["miou_interval"] is None else " [{:.2f}, {:.2f}]".format(*score["miou_interval"])
    console.print(
        f"{content['split']}: miou {score['miou']:.4f}{interval}, accuracy {score['accuracy']:.4f}, "
        f"{content['images']} images"
    )
    console.print(f"card        {task.out / PAGE}")
    if task.calibrate:
        console.print(f"calibrated  {calibrated}, temperature {temperature:.4g}")


def main(args: list[str]) -> None:
    """Run `card`.

    Raises:
        UserError: See `card`, or the arguments are wrong.
    """
    parser = card_parser()
    options = parse_recipe(parser, args[1:], PARTS)
    checkpoint = checkpoint_of(options.model, options.ckpt)
    identity = identity_of(options)
    with parser_errors(parser.prog):
        built = instantiate(parser, options)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # about unused devices, and advertisements
    warnings.filterwarnings("ignore", module=r"lightning\.")  # about loaders and launchers of trainings
    card(task_of(built, checkpoint, list(config_paths(args))), identity)
