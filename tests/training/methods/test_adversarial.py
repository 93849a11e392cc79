"""Adversarial training against plain loops of two optimizers, and runs that resume to the same last bit.

Covers: losses.adversarial, training.former_recipes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from lightning.pytorch.callbacks import LearningRateFinder
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from seglight.callbacks import NonFinite
from seglight.data import ShapesDataModule
from seglight.data.augmentation.transforms import Augmentation
from seglight.errors import UserError
from seglight.interfaces import SegOutput
from seglight.losses import Adversarial, CrossEntropy, Distillation
from seglight.optim import WarmupPoly
from seglight.training import SegmentationModule
from seglight.training.methods import AdversarialNetwork
from seglight.training.methods.adversarial import label_distribution
from tests.support.nonfinite import Infinite, float16, marked
from tests.support.processes import in_processes
from tests.support.resumable import RECIPE, BrokenOff, break_off_at, differences, final
from tests.support.tiny import TinyNet
from tests.support.training import CLASSES, Noise, collate, fit, new_module, new_trainer, samples

IGNORE = 255
NET = partial(TinyNet, norm=False)  # before a norm, a bias has no gradient but noise
METHOD = partial(AdversarialNetwork, weight=0.7, lr=0.2)
SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.9)
ADAM = partial(torch.optim.AdamW, lr=0.05, weight_decay=0.0)
Group = list[dict[str, Any]]


def new_adversarial(**options: Any) -> SegmentationModule:
    return new_module(NET, **{"method": METHOD, "optimizer": SGD} | options)


def discriminator_of(module: SegmentationModule) -> nn.Module:
    assert isinstance(module.method, AdversarialNetwork)
    return module.method.discriminator


def by_two_optimizers(
    windows: Sequence[Sequence[Group]],
    optimizers: tuple[Any, Any] = (SGD, partial(SGD, lr=0.2)),
    clip: float | None = None,
    dtype: torch.dtype = torch.float32,
    rate: Callable[[int], float] = lambda step: 1.0,
) -> tuple[nn.Module, nn.Module]:
    """Net and discriminator after one step of each for each window of batches, weighted by their labelled pixels."""
    module = new_adversarial()
    net, judge = module.net, discriminator_of(module)
    pair = [make(part.parameters()) for make, part in zip(optimizers, (net, judge), strict=True)]
    full = [optimizer.param_groups[0]["lr"] for optimizer in pair]
    for step, window in enumerate(windows):
        batches = [collate(group) for group in window]
        pixels = [int((batch["mask"] != IGNORE).sum()) for batch in batches]
        for optimizer, lr in zip(pair, full, strict=True):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = lr * rate(step)
        for batch, count in zip(batches, pixels, strict=True):
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                logits = net(batch["image"])
                prediction = logits.float().softmax(1)
                true = label_distribution(prediction.detach(), batch["mask"], IGNORE)
                of_true, of_false = judge(torch.cat([true, prediction.detach()])).float().chunk(2)
                told = F.softplus(-of_true).mean() + F.softplus(of_false).mean()
                fooled = (
                    CrossEntropy(IGNORE)(logits, batch["mask"]) + 0.7 * F.softplus(-judge(prediction).float()).mean()
                )
            for loss, part in ((fooled, net), (told, judge)):
                parameters = list(part.parameters())
                found = torch.autograd.grad(loss * count / sum(pixels), parameters, retain_graph=True)
                for parameter, gradient in zip(parameters, found, strict=True):
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        if clip is not None:
            nn.utils.clip_grad_norm_([*net.parameters(), *judge.parameters()], clip)
        for optimizer in pair:
            optimizer.step()
    return net, judge


def assert_same(module: SegmentationModule, expected: tuple[nn.Module, nn.Module], share: float = 1e-4) -> None:
    """Differences stay below this share of the largest step of each tensor."""
    start = new_adversarial()
    for found, theirs, before in (
        (module.net, expected[0], start.net),
        (discriminator_of(module), expected[1], discriminator_of(start)),
    ):
        for a, b, c in zip(found.parameters(), theirs.parameters(), before.parameters(), strict=True):
            step = float((b - c).detach().abs().max())
            assert step > 0
            torch.testing.assert_close(a, b, rtol=1e-6, atol=share * step)


def pairs(data: Group) -> list[Group]:
    return [data[k : k + 2] for k in range(0, len(data), 2)]


def uneven() -> Group:
    """Samples with labelled shares from a tenth to all."""
    data = samples()
    for k, sample in enumerate(data):
        sample["mask"].view(-1)[: 45 * (k % 4) ** 2] = IGNORE
    return data


def test_a_step_is_that_of_two_optimizers() -> None:
    module = new_adversarial()
    fit(samples(), module=module)
    assert_same(module, by_two_optimizers([[pair] for pair in pairs(samples())]))


def test_adam_has_the_discriminators_own_averages() -> None:
    module = new_adversarial(optimizer=ADAM, method=partial(METHOD, lr=0.002))
    fit(samples(4), module=module)
    optimizers = (ADAM, partial(torch.optim.Adam, lr=0.002, betas=(0.5, 0.999)))
    # where a gradient is nearly zero, Adam makes a step of its rounding
    assert_same(module, by_two_optimizers([[pair] for pair in pairs(samples(4))], optimizers), share=2e-2)


def test_clipping_bounds_the_norm_of_both() -> None:
    module = new_adversarial()
    fit(samples(), module=module, gradient_clip_val=0.02)
    assert_same(module, by_two_optimizers([[pair] for pair in pairs(samples())], clip=0.02))


def test_accumulated_batches_are_weighted_by_their_labelled_pixels() -> None:
    module = new_adversarial()
    fit(uneven(), module=module, accumulate_grad_batches=2)
    batches = pairs(uneven())
    assert_same(module, by_two_optimizers([batches[:2], batches[2:]]))


def test_the_schedule_is_that_of_both() -> None:
    module = new_adversarial(schedule=partial(WarmupPoly, power=1.0))
    fit(samples(), module=module)
    assert_same(module, by_two_optimizers([[pair] for pair in pairs(samples())], rate=lambda step: 1 - step / 4))


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_is_that_of_both(precision: str) -> None:
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if precision == "16-mixed" else None
    kinds: list[torch.dtype] = []
    module = new_adversarial()
    discriminator_of(module).register_forward_hook(lambda _, __, opinion: kinds.append(opinion.dtype))
    fit(samples(4), module=module, plugins=MixedPrecision(precision, "cpu", scaler), gradient_clip_val=0.05)  # type: ignore[arg-type]
    assert set(kinds) == {dtype}
    expected = by_two_optimizers([[pair] for pair in pairs(samples(4))], clip=0.05, dtype=dtype)
    assert_same(module, expected, share=0.1)  # of sums in 8 bits


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # the only step is left out
def test_float16_overflow_leaves_both_out() -> None:
    scaler, precision = float16()
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**40})
    module = new_adversarial()
    start = {key: value.clone() for key, value in module.state_dict().items()}
    fit(samples(2), module=module, plugins=precision)
    assert scaler.get_scale() < 2.0**40
    assert all(torch.equal(value, start[key]) for key, value in module.state_dict().items())


def test_a_step_that_is_skipped_leaves_no_trace_in_either(capsys: pytest.CaptureFixture[str]) -> None:
    data = marked(3)
    module = new_adversarial(loss=Infinite)
    fit(data, NonFinite("skip"), module=module)
    assert_same(module, by_two_optimizers([[data[0:2]], [data[4:6]], [data[6:8]]]))
    assert "images im2, im3," in capsys.readouterr().out


def test_a_gradient_of_the_discriminator_that_is_not_finite_is_named() -> None:
    module = new_adversarial()
    last = next(reversed(list(discriminator_of(module).parameters())))
    last.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(UserError, match=r"step 0: .* gradient is not finite, .*method\.discriminator\.\d+\.bias"):
        fit(samples(), NonFinite(), module=module)


def test_the_learning_rate_finder_leaves_the_discriminators_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = new_adversarial()
    monkeypatch.chdir(tmp_path)  # the finder saves a checkpoint there
    finder = LearningRateFinder(num_training_steps=20, early_stop_threshold=None)
    new_trainer(finder).fit(module, datamodule=Noise(samples(48)))
    assert module.lr is not None
    rates = {group["name"]: group["initial_lr"] for group in module.trainer.optimizers[0].param_groups}
    assert rates == {"decoder": module.lr, "decoder/no_decay": module.lr, "discriminator": 0.2}


def train_in_processes(rank: int, folder: Path, processes: int) -> None:
    torch.manual_seed(0)
    augmentation = Augmentation(crop_size=32)
    data = ShapesDataModule(
        size=32, train_images=16, eval_images=1, num_workers=0, batch_size=4 // processes, augmentation=augmentation
    )
    facts = data.num_classes, data.ignore_index, data.class_names, data.palette
    module = SegmentationModule(NET, *facts, method=METHOD, optimizer=partial(SGD, lr=0.1))
    trainer = new_trainer(devices=processes, strategy="ddp" if processes > 1 else "auto", accumulate_grad_batches=2)
    trainer.fit(module, datamodule=data)
    torch.save(module.state_dict(), folder / f"{processes}-{rank}")


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    for processes in (1, 2):
        in_processes(processes, train_in_processes, tmp_path, processes)
    one, first, second = (torch.load(tmp_path / name, weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert any(key.startswith("method.discriminator") for key in one)
    for key, value in one.items():
        assert torch.equal(first[key], second[key])
        torch.testing.assert_close(first[key], value, rtol=1e-5, atol=1e-6)


def test_the_labels_distribution_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet([0.2] * 4, (2, 4, 6)).transpose(0, 3, 1, 2)
    mask = rng.choice(np.array([0, 1, 2, 3, IGNORE], np.uint8), (2, 16, 24))
    expected = prediction.copy()
    for b, i, j in np.ndindex(2, 4, 6):
        label = mask[b, 4 * i + 2, 4 * j + 2]
        if label != IGNORE and prediction[b, label, i, j] < 0.9:
            expected[b, :, i, j] *= (1 - 0.9) / (1 - prediction[b, label, i, j])
            expected[b, label, i, j] = 0.9
    ours = label_distribution(torch.from_numpy(prediction), torch.from_numpy(mask), IGNORE)
    np.testing.assert_allclose(ours, expected, atol=1e-7)
    np.testing.assert_allclose(ours.sum(1), 1, atol=1e-6)
    assert (ours != torch.from_numpy(prediction)).any()


class Given(nn.Module):
    """A net whose output is its parameter."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, image: Tensor) -> SegOutput:
        return SegOutput(self.logits)


def test_each_gradient_is_that_of_its_own_loss() -> None:
    torch.manual_seed(0)
    net = Given(torch.randn(2, 4, 8, 8))
    mask = torch.randint(4, (2, 32, 32), dtype=torch.uint8)
    method = AdversarialNetwork(4, IGNORE, weight=0.7)
    prediction = net.logits.softmax(1)
    hard = F.cross_entropy(F.interpolate(net.logits, (32, 32), mode="bilinear"), mask.long())
    fooled = hard - 0.7 * method.discriminator(prediction).sigmoid().log().mean()
    of_labels, of_prediction = (
        method.discriminator(maps).sigmoid()
        for maps in (label_distribution(prediction.detach(), mask, IGNORE), prediction.detach())
    )
    told = -of_labels.log().mean() - (1 - of_prediction).log().mean()
    batch: Any = {"image": mask, "mask": mask}
    ours = method(net, batch, lambda output, batch: CrossEntropy(IGNORE)(output.logits, batch["mask"]))
    torch.testing.assert_close(ours, fooled + told, rtol=1e-5, atol=1e-6)
    parameters = list(method.parameters())
    found = torch.autograd.grad(ours, [net.logits, *parameters])
    expected = [*torch.autograd.grad(fooled, [net.logits], retain_graph=True), *torch.autograd.grad(told, parameters)]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)


def test_the_discriminator_learns_to_tell_and_can_be_fooled() -> None:
    """Constant predictions against stripes: it tells them; along its gradient the prediction fools it better."""
    torch.manual_seed(0)
    mask = torch.zeros(1, 12, 12, dtype=torch.uint8)
    mask[:, ::2] = 1
    net = Given(torch.zeros(1, 2, 12, 12))
    method = AdversarialNetwork(2, IGNORE)
    adam = torch.optim.Adam(method.parameters(), 1e-3, betas=method.betas)
    batch: Any = {"image": mask, "mask": mask}

    def opinion(logits: Tensor) -> Tensor:
        return F.softplus(-method.discriminator(logits.softmax(1))).mean()

    first = opinion(net.logits).detach()
    for _ in range(30):
        adam.zero_grad()
        method(net, batch, lambda output, batch: 0 * output.logits.sum()).backward()
        adam.step()
    last = opinion(net.logits)
    assert last.detach() > first + 1
    (gradient,) = torch.autograd.grad(last, net.logits)
    assert opinion(net.logits - 50 * gradient) < last


def test_no_images_are_zero() -> None:
    method = AdversarialNetwork(4, IGNORE)
    batch: Any = {"image": torch.zeros(0, 3, 8, 8), "mask": torch.zeros(0, 8, 8, dtype=torch.uint8)}
    loss = method(Given(torch.randn(0, 4, 2, 2)), batch, lambda output, batch: output.logits.sum())
    assert loss == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, list(method.parameters())))


@pytest.mark.parametrize(("name", "value"), [("weight", -1.0), ("lr", float("nan")), ("weight", None)])
def test_numbers_that_make_no_sense(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^model\.method: {name} is (-1\.0|nan|None): give a finite number from 0\.$"):
        AdversarialNetwork(3, IGNORE, **{name: value})


@pytest.mark.parametrize("betas", [(2.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9,), (0.9, None), None, 0.9])
def test_betas_that_make_no_sense(betas: Any) -> None:
    with pytest.raises(UserError, match=r"^model\.method: betas is .*: give two numbers from 0 and below 1\.$"):
        AdversarialNetwork(3, IGNORE, betas=betas)


ADVERSARIAL = """
trainer: {accumulate_grad_batches: 2, gradient_clip_val: 1.0, precision: bf16-mixed}
model: {method: {class_path: seglight.training.methods.AdversarialNetwork, init_args: {lr: 1.0e-3}}}
"""


@pytest.mark.slow
def test_a_run_resumes_to_the_same_last_bit(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "method.yaml").write_text(ADVERSARIAL)

    def run(folder: str) -> None:
        recipes = ("-c", tmp_path / "recipe.yaml", "-c", tmp_path / "method.yaml")
        ran = seglight_cli("fit", *recipes, "--run_dir", tmp_path / folder, "--resume")
        assert ran.rc == 0, ran.err

    run("whole")
    with monkeypatch.context() as patch:
        break_off_at(6, patch, "on_train_batch_start")  # the hook of other tests gives accumulated batches their weight
        with pytest.raises(BrokenOff):
            run("broken")
    run("broken")
    whole = final(tmp_path / "whole")
    assert differences(final(tmp_path / "broken"), whole) == []
    assert any("method.discriminator" in key for key in whole)
    checkpoint = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=True)
    groups = {group["name"]: group for group in checkpoint["optimizer_states"][0]["param_groups"]}
    assert groups["discriminator"]["weight_decay"] == 0
    assert groups["discriminator"]["betas"] == (0.5, 0.999)
    assert '"lr/discriminator"' in (tmp_path / "whole" / "metrics.jsonl").read_text()


FORMER = {
    "class_path": "seglight.losses.Adversarial",
    "init_args": {"num_classes": 8, "weight": 0.2, "lr": 1e-3, "loss": {"class_path": "seglight.losses.Dice"}},
}


def test_a_recipe_of_an_earlier_version_trains_by_the_method(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "former.yaml").write_text(yaml.safe_dump({"model": {"loss": FORMER}}))
    recipes = ("-c", tmp_path / "recipe.yaml", "-c", tmp_path / "former.yaml")
    ran = seglight_cli("fit", *recipes, "--run_dir", tmp_path / "run", "--trainer.max_epochs", 1)
    assert ran.rc == 0, ran.err
    assert "model.loss seglight.losses.Adversarial is read as model.method" in ran.err + ran.out
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]
    assert written["loss"]["class_path"] == "seglight.losses.Dice"
    assert written["method"]["class_path"] == "seglight.training.methods.AdversarialNetwork"
    assert {key: written["method"]["init_args"][key] for key in ("weight", "lr")} == {"weight": 0.2, "lr": 1e-3}
    again = seglight_cli("fit", "--run_dir", tmp_path / "run", "--resume")
    assert again.rc == 0, again.err
    assert "finished" in again.err + again.out


def test_a_former_loss_and_another_method_contradict_each_other(
    tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "method.yaml").write_text(ADVERSARIAL)
    (tmp_path / "former.yaml").write_text(yaml.safe_dump({"model": {"loss": FORMER}}))
    configs = [part for name in ("recipe", "method", "former") for part in ("-c", tmp_path / f"{name}.yaml")]
    ran = seglight_cli("fit", *configs, "--run_dir", tmp_path / "run")
    assert ran.rc == 2
    assert "a step follows one method" in ran.err


def test_python_is_told_what_became_of_the_loss() -> None:
    with pytest.raises(UserError, match=r"no longer a loss: set model\.method"):
        new_module(loss=partial(Adversarial, num_classes=CLASSES))


def test_within_a_distillation_the_message_names_the_loss_that_was_trained() -> None:
    """There, version 0.1 called `forward` only, which was the loss of the labels without a discriminator."""
    with pytest.raises(UserError, match=r"Within seglight\.losses\.Distillation it never had a discriminator: give "):
        Distillation(IGNORE, "teacher.ckpt", loss=partial(Adversarial, num_classes=CLASSES))
