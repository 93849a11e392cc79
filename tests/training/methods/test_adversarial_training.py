"""Adversarial training against steps that are attacked by hand, and runs that resume to the same last bit."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from seglight.callbacks import EMA
from seglight.data import ShapesDataModule
from seglight.data.augmentation.transforms import Augmentation
from seglight.errors import UserError
from seglight.losses import CrossEntropy
from seglight.robustness import FGSM, PGD, SegPGD
from seglight.training import AdversarialTraining, SegmentationModule
from tests.support.processes import in_processes
from tests.support.resumable import RECIPE, BrokenOff, break_off_at, differences, final
from tests.support.tiny import TinyNet
from tests.support.training import SGD, SIZE, assert_same, collate, fit, new_module, new_trainer, plain_loop, samples

IGNORE = 255
RADIUS = 8 / 255
METHOD = partial(AdversarialTraining, attack=FGSM, radius=RADIUS, steps=1)
PAIRS = [samples()[k : k + 2] for k in range(0, 8, 2)]


def attacked_by_hand(net: nn.Module, batch: dict[str, Any], radius: float) -> Tensor:
    """One step along the sign of the gradient, on images in the range of uint8 that are padded as for a prediction."""
    net.eval()
    image = batch["image"].float().requires_grad_()
    (height, width) = SIZE
    beyond = (0, 32 - width, 0, 32 - height)
    logits = F.interpolate(net(F.pad(image, beyond, mode="replicate")), (32, 32), mode="bilinear")
    mask = F.pad(batch["mask"].long(), beyond, value=IGNORE)
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, mask, ignore_index=IGNORE), image)
    net.train()
    return (batch["image"].float() + 255 * radius * gradient.sign()).clamp(0, 255)


def trained_by_hand(groups: Sequence[list[dict[str, Any]]], radii: Sequence[float], images: int = 2) -> nn.Module:
    """Plain torch: attack the first images of each batch at their radius, then take the step on the batch."""
    net = new_module().net
    flat, rest = ([p for p in net.parameters() if (p.ndim == 1) == one] for one in (True, False))
    optimizer = SGD([{"params": rest}, {"params": flat, "weight_decay": 0}])
    for group, radius in zip(groups, radii, strict=True):
        batch = collate(group)
        part = {key: batch[key][:images] for key in ("image", "mask")}
        image = torch.cat([attacked_by_hand(net, part, radius), batch["image"][images:].float()])
        optimizer.zero_grad()
        CrossEntropy(IGNORE)(net(image), batch["mask"]).backward()
        optimizer.step()
    return net


def test_a_step_is_that_on_images_attacked_by_hand() -> None:
    """Statistics of the batch norm included, which the attack must not change."""
    module = fit(samples(), module=new_module(method=METHOD))
    assert_same(module.net, trained_by_hand(PAIRS, [RADIUS] * 4))
    untouched = plain_loop(PAIRS).state_dict()
    assert not torch.allclose(module.net.state_dict()["body.weight"], untouched["body.weight"], rtol=1e-3)


def test_the_radius_rises_by_hand() -> None:
    module = fit(samples(), module=new_module(method=partial(METHOD, warmup_batches=3)))
    assert_same(module.net, trained_by_hand(PAIRS, [RADIUS / 3, RADIUS * 2 / 3, RADIUS, RADIUS]))
    assert int(module.state_dict()["method.batches"]) == 4


def test_half_of_the_images_by_hand() -> None:
    """The second of each pair: the share of the images up to it reaches a whole number there."""
    module = fit(samples(), module=new_module(method=partial(METHOD, share=0.5)))
    turned = [pair[::-1] for pair in PAIRS]
    assert_same(module.net, trained_by_hand(turned, [RADIUS] * 4, images=1))


def test_a_share_of_nothing_is_supervised() -> None:
    module = fit(samples(), module=new_module(method=partial(METHOD, share=0.0)))
    assert_same(module.net, plain_loop(PAIRS))


class Recorder:
    """In place of an attack: what it is called with."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, net: nn.Module, image: Tensor, mask: Tensor, seeds: Sequence[int], radius: float) -> Tensor:
        self.calls.append({"images": len(image), "dtype": image.dtype, "seeds": list(seeds), "radius": radius})
        return image


def recorded(**options: Any) -> list[dict[str, Any]]:
    recorder = Recorder()
    method = partial(AdversarialTraining, attack=lambda *args: recorder, radius=0.5, **options)
    fit(samples(16), module=new_module(method=method), batch_size=4)
    return recorder.calls


def test_an_image_has_a_seed_of_its_own_in_each_batch() -> None:
    seeds = [seed for call in recorded() for seed in call["seeds"]]
    assert len({*seeds}) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [seed for call in recorded() for seed in call["seeds"]]
    assert not {*seeds} & {seed for call in recorded(seed=1) for seed in call["seeds"]}


@pytest.mark.parametrize(("share", "images"), [(1.0, [4] * 4), (0.25, [1] * 4), (0.4, [1, 2, 1, 2]), (0.1, [1])])
def test_the_attacked_images_are_evenly_spread(share: float, images: list[int]) -> None:
    assert [call["images"] for call in recorded(share=share)] == images


def test_the_image_goes_in_as_float32() -> None:
    assert {call["dtype"] for call in recorded()} == {torch.float32}


def test_what_is_frozen_stays_so() -> None:
    module = new_module(method=METHOD)
    module.net.norm.eval()
    module.net.body.requires_grad_(False)
    batch: Any = collate(samples(2))
    buffers = {name: value.clone() for name, value in module.net.named_buffers()}
    module.method(module, batch, module.criterion).backward()
    assert not module.net.norm.training
    assert module.net.training
    assert module.method.training
    assert [name for name, p in module.net.named_parameters() if p.requires_grad] == [
        "norm.weight", "norm.bias", "head.weight", "head.bias",
    ]  # fmt: skip
    assert module.net.body.weight.grad is None
    assert module.net.head.weight.grad is not None
    for name, value in module.net.named_buffers():
        assert torch.equal(value, buffers[name])


def test_accumulated_batches_are_one() -> None:
    """Each is counted; without norms and random numbers, two of two images are one of four."""
    net = partial(TinyNet, norm=False)
    two = fit(samples(), module=new_module(net, method=METHOD), accumulate_grad_batches=2)
    four = fit(samples(), module=new_module(net, method=METHOD), batch_size=4)
    assert_same(two.net, four.net)
    assert int(two.state_dict()["method.batches"]) == 4
    assert int(four.state_dict()["method.batches"]) == 2


class Constant(nn.Module):
    """Logits that hardly depend on the image, of many pixels: the gradient by a pixel is far below 16 bits."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.body(image.float() / 255 * 1e-2)
        return logits


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attack", [PGD, SegPGD])
def test_the_gradient_by_the_image_is_no_zero_in_16_bits(dtype: torch.dtype, attack: Any) -> None:
    module = new_module(Constant, method=partial(AdversarialTraining, attack=attack, radius=RADIUS, steps=1))
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(50, 200, (2, 3, 256, 256), dtype=torch.uint8, generator=generator)
    mask = torch.randint(0, 3, (2, 256, 256), dtype=torch.uint8, generator=generator)
    seen = []
    module.net.register_forward_pre_hook(lambda net, args: seen.append(args[0].detach()))
    batch: Any = {"image": image, "mask": mask, "name": ["a", "b"], "size": [(256, 256)] * 2}
    with torch.autocast("cpu", dtype):
        module.method(module, batch, module.criterion)
    moved = (seen[-1] - image).abs()
    assert moved.max() <= 255 * RADIUS + 1e-3
    assert (moved > 0).float().mean() > 0.9


def test_it_trains_in_bfloat16_with_an_average() -> None:
    module = fit(samples(), EMA(0.9), module=new_module(method=METHOD), precision="bf16-mixed")
    assert int(module.state_dict()["method.batches"]) == 4
    expected = trained_by_hand(PAIRS, [RADIUS] * 4)
    start = new_module().net.body.weight
    assert (module.net.body.weight - start).norm() > 0
    assert expected.body.weight.shape == start.shape


ADVERSARIAL = """
trainer: {accumulate_grad_batches: 2, gradient_clip_val: 1.0, precision: bf16-mixed}
model:
  method:
    class_path: seglight.training.AdversarialTraining
    init_args: {attack: {class_path: seglight.robustness.PGD}, radius: 0.03, steps: 2, warmup_batches: 15, share: 0.7}
"""


def test_a_run_resumes_to_the_same_last_bit(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off in the middle of the warm-up of the radius, between two accumulated batches."""
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "method.yaml").write_text(ADVERSARIAL)

    def run(folder: str) -> None:
        recipes = ("-c", tmp_path / "recipe.yaml", "-c", tmp_path / "method.yaml")
        ran = seglight_cli("fit", *recipes, "--run_dir", tmp_path / folder, "--resume")
        assert ran.rc == 0, ran.err

    run("whole")
    with monkeypatch.context() as patch:
        break_off_at(5, patch, "on_train_batch_start")
        with pytest.raises(BrokenOff):
            run("broken")
    run("broken")
    whole = final(tmp_path / "whole")
    assert differences(final(tmp_path / "broken"), whole) == []
    assert torch.frombuffer(bytearray(whole[".current_model_state.method.batches"]), dtype=torch.int64).item() == 18
    written = yaml.safe_load((tmp_path / "whole" / "config.yaml").read_text())["model"]["method"]
    assert written["init_args"]["attack"]["class_path"] == "seglight.robustness.PGD"


def train_in_processes(rank: int, folder: Path, processes: int) -> None:
    torch.manual_seed(0)
    augmentation = Augmentation(crop_size=32)
    data = ShapesDataModule(
        size=32, train_images=16, eval_images=1, num_workers=0, batch_size=4 // processes, augmentation=augmentation
    )
    facts = data.num_classes, data.ignore_index, data.class_names, data.palette
    method = partial(AdversarialTraining, radius=RADIUS, steps=2, share=0.75, warmup_batches=3)
    net = partial(TinyNet, norm=False)
    module = SegmentationModule(net, *facts, method=method, optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer = new_trainer(devices=processes, strategy="ddp" if processes > 1 else "auto")
    trainer.fit(module, datamodule=data)
    torch.save(module.state_dict(), folder / f"{processes}-{rank}")


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    """Each image has the seed and the share of its place among those of both."""
    for processes in (1, 2):
        in_processes(processes, train_in_processes, tmp_path, processes)
    one, first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert int(one["method.batches"]) == 4
    for key, value in one.items():
        assert torch.equal(first[key], second[key])
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("radius", 0, r"model\.method: radius is 0: without attacks training is that of .*Supervised\."),
        ("radius", -0.1, r"attack: radius is -0\.1: .* give a number such as 0\.0157 for 4/255"),
        ("radius", 255, r"attack: radius is 255: .* give a number such as 0\.0157 for 4/255"),
        ("radius", float("nan"), r"attack: radius is nan: .* give a number such as 0\.0157 for 4/255"),
        ("steps", 0, "attack: steps is 0: .*"),
        ("share", -0.1, r"model\.method: share is -0\.1: give a number from 0 to 1\."),
        ("share", 1.1, r"model\.method: share is 1\.1: give a number from 0 to 1\."),
        ("share", None, r"model\.method: share is None: give a number from 0 to 1\."),
        ("warmup_batches", -1, r"model\.method: warmup_batches is -1: give a whole number from 0\."),
        ("warmup_batches", 1.5, r"model\.method: warmup_batches is 1\.5: give a whole number from 0\."),
        ("seed", -1, r"model\.method: seed is -1: give a whole number from 0\."),
    ],
)
def test_numbers_that_make_no_sense_are_one_line(name: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        AdversarialTraining(3, IGNORE, **{name: value})
