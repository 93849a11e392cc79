"""All choices together, with measurements that are made up: no device is needed.

Covers: commands.init.draft, commands.init.nets.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from seglight.commands.init.choice import Choice
from seglight.commands.init.decide import Bench, decide, inferer, windows_of
from seglight.commands.init.draft import draft
from seglight.commands.init.facts import DataFacts, Machine
from seglight.commands.init.question import Answer, Question
from seglight.errors import UserError

CAMVID = DataFacts(
    tuple("abcdefghijk"), 367, 101, (1000,) * 10 + (100,), (367,) * 11, (360, 480), (360, 480), 80, ".png"
)
CPU = Machine("cpu", "a processor", 8 * 10**9, 2, 2)
GPU = Machine("gpu", "a GPU", 24 * 10**9, 8, 16, "bf16-mixed")


@dataclass
class Device:
    """Time and memory in proportion to pixels and to the size of the net."""

    step: float = 1.6 / (8 * 320 * 320)
    byte: float = 2e9 / (8 * 320 * 320)
    cost: dict[str, float] = field(default_factory=lambda: {"convnext_tiny": 12.0, "resnet50": 6.0})
    half: float = 0.6
    contiguous: float = 1.5
    asked: list[Question] = field(default_factory=list)

    def __call__(self, question: Question) -> Answer:
        self.asked.append(question)
        name = question.model["net"]["init_args"]["encoder"]["init_args"]["name"]
        pixels = question.batch * question.crop[0] * question.crop[1] * self.cost.get(name, 1.0)
        peak = int(self.byte * pixels)
        if peak > question.memory:
            return Answer(exceeded=True)
        slower = 1.0 if question.model["channels_last"] else self.contiguous
        faster = 1.0 if question.precision == "32-true" else self.half
        return Answer(self.step * pixels * slower * faster, 0.1, peak)


def bench(data: DataFacts, machine: Machine, minutes: float, ask: Callable[[Question], Answer]) -> Bench:
    return Bench(data, machine, int(60 * minutes), ask, lambda crop: 0.01, lambda name: Choice("hub", "there"), {})


def test_street_scenes_on_a_processor() -> None:
    """As in the recipe for CamVid that was made by hand: crops of 320, batches of 8, 12 epochs in 22 minutes."""
    found = decide(bench(CAMVID, CPU, 22, Device()))
    assert found.net.encoder == "tf_efficientnet_lite0"
    assert found.crop.value == 320
    assert (found.batch.value.size, found.batch.value.accumulated) == (8, 1)
    assert found.length.epochs in (12, 13, 14)
    assert found.channels_last.value
    assert found.precision.value == "32-true"
    assert found.workers.value == 0
    assert found.scale.value == [0.75, 2.0]


def test_the_faster_memory_format_is_taken() -> None:
    assert not decide(bench(CAMVID, CPU, 22, Device(contiguous=0.8))).channels_last.value


def test_little_memory_means_smaller_batches_that_are_accumulated() -> None:
    found = decide(bench(CAMVID, replace(CPU, memory=12 * 10**8), 22, Device()))
    assert (found.batch.value.size, found.batch.value.accumulated) == (4, 2)
    recipe = draft(found, {"class_path": "a.B", "init_args": {"root": "r"}}, {}, None).content
    assert recipe["trainer"]["accumulate_grad_batches"] == 2
    assert recipe["data"]["init_args"]["batch_size"] == 4
    with pytest.raises(UserError, match=r"--memory 0\.1GB"):
        decide(bench(CAMVID, replace(CPU, memory=10**8), 22, Device()))


def test_a_gpu_takes_a_larger_net_if_there_is_time() -> None:
    fast = Device(step=0.02 / (8 * 320 * 320))
    long = decide(bench(CAMVID, GPU, 120, fast))
    assert (long.net.encoder, long.precision.value) == ("convnext_tiny", "bf16-mixed")
    assert long.workers.value >= 1
    short = decide(bench(CAMVID, GPU, 3, fast))
    assert short.net.encoder in ("resnet50", "tf_efficientnet_lite0")
    assert decide(bench(CAMVID, GPU, 120, Device(step=fast.step, half=0.95))).precision.value == "32-true"


def test_a_net_without_weights_is_passed_over() -> None:
    def only_small(name: str) -> Choice[str]:
        return Choice("offline" if name == "tf_efficientnet_lite0" else "random", "")

    made = replace(bench(CAMVID, GPU, 120, Device(step=1e-8)), weights=only_small)
    assert decide(made).net.encoder == "tf_efficientnet_lite0"


def test_little_time_means_smaller_crops() -> None:
    found = decide(bench(CAMVID, CPU, 4, Device()))
    assert found.crop.value < 320  # type: ignore[operator]
    assert "steps" in found.crop.reason
    assert decide(bench(CAMVID, CPU, 1.5, Device())).crop.value == 160


def test_few_images() -> None:
    found = decide(bench(replace(CAMVID, train=3, images_with=(3,) * 11), CPU, 10, Device()))
    assert found.batch.value.size == 2


def test_large_images_are_evaluated_in_windows() -> None:
    large = replace(CAMVID, size=(3000, 4000), largest=(3000, 4000))
    chosen = inferer(large)
    assert chosen is not None
    assert chosen.value["init_args"]["window"] == 768
    assert windows_of(large) == 5 * 7  # (3000 - 768) / 576 and (4000 - 768) / 576, rounded up, and one
    device = Device()
    decide(bench(large, CPU, 60, device))
    assert {question.image for question in device.asked} == {(768, 768)}
    assert inferer(CAMVID) is None


def test_less_than_an_epoch_counts_batches() -> None:
    found = decide(bench(replace(CAMVID, train=100_000, images_with=(100_000,) * 11), CPU, 30, Device()))
    trainer = draft(found, {"class_path": "a.B", "init_args": {}}, {}, None).content["trainer"]
    assert trainer["max_epochs"] == -1
    assert trainer["val_check_interval"] == trainer["max_steps"] == found.length.steps
    assert trainer["check_val_every_n_epoch"] is None


def test_every_comment_belongs_to_a_key() -> None:
    recipe = draft(decide(bench(CAMVID, GPU, 60, Device(step=1e-8))), {"class_path": "a.B", "init_args": {}}, {}, None)
    assert len(recipe.comments) > 5
    for key in recipe.comments:
        value: object = recipe.content
        for name in key.split("."):
            value = value[int(name)] if isinstance(value, list) else value[name]  # type: ignore[index]


def test_short_trainings_are_logged_often_enough_for_a_curve() -> None:
    found = decide(bench(CAMVID, CPU, 22, Device()))
    for steps, every in ((1000, 10), (100, 10), (46, 4), (5, 1)):
        length = replace(found.length, steps=steps)
        recipe = draft(replace(found, length=length), {"class_path": "x", "init_args": {}}, {}, None)
        assert recipe.content["trainer"]["log_every_n_steps"] == every
