"""The project that `init` writes: recognise a data set, decide, write the recipe, print the next commands."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from seglight.commands.init.commented_yaml import commented_yaml
from seglight.commands.init.decide import Bench, decide, encoder_weights, inferer, measured_loading
from seglight.commands.init.draft import Decisions, Draft, draft
from seglight.commands.init.duration import plain_time
from seglight.commands.init.facts import DataFacts, Size
from seglight.commands.init.machine import machine, versions
from seglight.commands.init.measured import Measured, measured_bands
from seglight.commands.init.options import Options
from seglight.commands.init.prepared import Prepared, Splits, full_path, prepare, splits_of
from seglight.commands.init.question import Answer, LoadingQuestion, cache_folder, keep, kept_answer
from seglight.commands.init.samples import sides
from seglight.commands.init.scanned import Scan, data_module, scan
from seglight.commands.init.scenes import prepare_scenes
from seglight.commands.init.trials import Trials
from seglight.data.augmentation.transforms import Augmentation
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.recognise import recognise
from seglight.data.layouts.scenes import recognise_scenes
from seglight.errors import UserError, terminal
from seglight.system.atomic import PART, atomic_folder, atomic_write
from seglight.system.escaping import encodable

RECIPE = "recipe.yaml"
"""Name of the recipe in the project's folder."""

SHOWN_HINTS = 5
"""Hints of the scan that are shown; `doctor` shows all."""

SHOWN_CLASSES = 12
"""Classes that are named."""

LONGEST_COMMAND = 80
"""Characters of a printed command, beyond which it is meant for the project's folder."""

SHORT = 0.7
"""Fraction of the given time below which a line says that a training takes less."""

SAMPLES = 9
"""Training samples that are loaded to take the time."""


def init(options: Options) -> None:
    """Recognise a data set, decide, and write the project.

    Raises:
        UserError: The data are not recognised, or have mistakes; the project exists; or time or memory are too little.
    """
    device = machine(options.device, options.memory)
    scenes = recognise_scenes(options.data)
    layout = scenes or recognise(options.data, Choices(options.boxes))
    show(f"{options.data}: {layout.form}, recognised by {layout.evidence}")
    show(class_line(layout))
    splits = Splits({}) if scenes else splits_of(layout, options.data, options.folds)
    with _project(options) as folder:
        if scenes:
            measured = Measured()
            prepared = prepare_scenes(scenes, options.data, options.folds, folder)
        else:
            measured = measured_bands(layout, options.data, splits.files["train"])
            prepared = prepare(layout, options.data, splits, folder, measured)

        def say(line: str) -> None:
            show(line.replace(str(folder), str(options.out)))

        for remark in [*layout.remarks, *measured.remarks, *prepared.remarks]:
            say(remark)
        found = scan(data_module(prepared.at(folder)), say)
        show_scan(found, say)
        with Trials() as trials:
            load = partial(loading, prepared, folder, found.facts)
            bench = Bench(found.facts, device, options.time, trials.ask, load, encoder_weights, versions())
            decisions = decide(bench)
            if trials.found:
                show(f"{trials.found} kept measurements were used: remove {cache_folder()} to measure again")
        recipe = draft(decisions, prepared.at(full_path(options.out)), prepared.comments, inferer(found.facts))
        if scenes:  # whether windows of the chosen size fit into the blocks
            augmentation = recipe.content["data"]["init_args"]["augmentation"]
            data_module(prepared.at(folder), augmentation=augmentation).split("train")
        show_decisions(decisions, options.time)
        if options.explain:
            show_reasons(recipe)
            return
        atomic_write(folder / RECIPE, recipe_text(recipe, layout, options))
    show_next(options.out, options.folds)


@contextmanager
def _project(options: Options) -> Iterator[Path]:
    """The folder of the project while it is written; with --explain one that is removed."""
    if options.explain:
        with TemporaryDirectory(prefix="seglight-init-") as folder:
            yield Path(folder)
        return
    with _writing(options.out), atomic_folder(options.out) as part:
        try:
            yield part
        except UserError as error:  # its files are gone when the message is read
            raise UserError(str(error).replace(str(part), str(options.out))) from error


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Errors of the system about the project's folder as one line."""
    try:
        yield
    except OSError as error:
        parts = Path(os.fsdecode(error.filename)).parts if isinstance(error.filename, str | bytes | Path) else ()
        place = next((place for place, part in enumerate(parts) if PART.fullmatch(part)), None)
        if place is None:
            raise
        where = out.joinpath(*parts[place + 1 :])
        raise UserError(f"{where}: {error.strerror}: it can't be written there: give another --out") from error


def loading(prepared: Prepared, folder: Path, facts: DataFacts, crop: int | Size) -> float:
    """Seconds of reading and augmenting one training sample."""
    question = LoadingQuestion(
        facts.suffix if facts.bands.is_rgb8 else f"{facts.suffix}, {facts.bands.line()}",
        facts.size,
        sides(crop),
        prepared.class_path,
        machine("cpu", None).name,
        versions(),
    )
    kept = kept_answer(question)
    if kept is not None:
        return kept.step
    split = data_module(prepared.at(folder)).split("train")
    augmentation = Augmentation(crop, (0.75, 2.0), photometric=0.4 if facts.bands.is_rgb8 else 0.0)
    indices = range(0, len(split), max(1, len(split) // SAMPLES))[:SAMPLES]

    def read(index: int) -> object:
        image, mask, _ = split.read(index)
        return augmentation(image, mask, (0, 0, index), facts.bands)

    answer = Answer(step=measured_loading([partial(read, index) for index in indices])).rounded()
    keep(question, answer)
    return answer.step


def recipe_text(recipe: Draft, layout: Layout, options: Options) -> str:
    """The recipe as YAML with comments."""
    head = [f"{layout.form}. Written by: {options.words}", f"Train: {fit_command(options.out)}"]
    lines = "".join(f"# {terminal(line)}\n" for line in head)  # a folder's name may contain a line end
    text = lines + commented_yaml(recipe.content, recipe.comments)
    assert yaml.safe_load(text) == recipe.content
    return text


def show(line: str) -> None:
    """Print a line."""
    sys.stdout.write(encodable(terminal(line), sys.stdout) + "\n")
    sys.stdout.flush()


def class_line(layout: Layout) -> str:
    """Number and names of the classes."""
    names = layout.classes.names
    more = f", and {len(names) - SHOWN_CLASSES} more" if len(names) > SHOWN_CLASSES else ""
    return f"{len(names)} classes: {', '.join(names[:SHOWN_CLASSES])}{more}"


def show_scan(found: Scan, say: Callable[[str], None]) -> None:
    """Print the number of images, or of the areas that scenes are divided into, and the first hints."""
    what = "areas of the scenes" if found.facts.by_window else "images"
    say(", ".join(f"{name} {number}" for name, number in found.images.items()) + f" {what}")
    for hint in found.hints[:SHOWN_HINTS]:
        say(f"hint: {hint}")
    if len(found.hints) > SHOWN_HINTS:
        say(f"and {len(found.hints) - SHOWN_HINTS} more hints, which `seglight doctor` shows")


def show_decisions(decisions: Decisions, seconds: int) -> None:
    """Print the choices in a few lines.

    Args:
        decisions: The choices.
        seconds: Seconds that are given.
    """
    length, batch = decisions.length, decisions.batch.value
    times = f" x {batch.accumulated}" if batch.accumulated > 1 else ""
    show(
        f"{decisions.net.encoder} ({decisions.weights.value} weights) with {decisions.net.decoder}, "
        f"crop {decisions.crop.value}, batch {batch.size}{times}, on {decisions.machine.name}"
    )
    epochs = f"{length.epochs} epochs" if length.epochs else "less than an epoch"
    of = f" of the {plain_time(seconds)}" if length.seconds < SHORT * seconds else ""
    often = "once" if length.evaluations == 1 else f"{length.evaluations} times"
    show(f"{length.steps} steps ({epochs}), evaluated {often}, about {plain_time(length.seconds)}{of}")
    if decisions.weights.value == "random":
        show(f"{decisions.net.encoder}: {decisions.weights.reason}")


def show_reasons(recipe: Draft) -> None:
    """Print the value and the reason of each choice."""
    for key, reason in recipe.comments.items():
        show(f"  {key}: {_shown(_value(recipe.content, key))}")
        show(f"      {reason}")


def _value(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content[int(name)] if isinstance(content, list) else content[name]
    return content


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "class_path" in value:
        arguments = ", ".join(f"{name} {item}" for name, item in value.get("init_args", {}).items())
        return " ".join(filter(None, (value["class_path"].rpartition(".")[2], arguments)))
    return str(value)


def fit_command(out: Path) -> str:
    """Command that trains by the recipe of a project."""
    return shlex.join(["seglight", "fit", "-c", str(out / RECIPE), "--run_dir", str(out / "run")])


def predict_command(out: Path) -> str:
    """Command that predicts with the net of a project; IMAGE stands for an image."""
    checkpoint = shlex.quote(str(out / "run" / "checkpoints" / "best.ckpt"))
    return f"seglight predict {checkpoint} IMAGE --out masks"


def next_commands(out: Path, folds: int | None) -> list[str]:
    """Commands to type next, each at most 80 characters unless the name of the project's folder is longer.

    Args:
        out: Folder of the project.
        folds: Number of folds, or None.
    """
    commands = [fit_command(out), predict_command(out)]
    if max(map(len, commands)) > LONGEST_COMMAND:
        commands = [f"cd {shlex.quote(str(out))}", fit_command(Path()), predict_command(Path())]
    if folds:
        fold = Path("lists") / "fold_2" if commands[0].startswith("cd ") else out / "lists" / "fold_2"
        commands.append(f"{commands[-2].rpartition('run')[0]}run2 --data.lists {shlex.quote(str(fold))}")
    return commands


def show_next(out: Path, folds: int | None) -> None:
    """Print what to type next."""
    show(f"{out}: written. Next:")
    for command in next_commands(out, folds):
        show(f"  {command}")
