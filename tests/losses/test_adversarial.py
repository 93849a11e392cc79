"""Adversarial training: the labels' distribution by a loop, the loss by torch, and a training that goes on exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from seglight.errors import UserError
from seglight.losses import Adversarial
from seglight.losses.adversarial import label_distribution

IGNORE, CLASSES = 255, 4


def test_the_labels_distribution_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet([0.2] * CLASSES, (2, 4, 6)).transpose(0, 3, 1, 2)
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


def test_loss_and_gradient_with_the_discriminator_held() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, CLASSES, 8, 8, requires_grad=True)
    mask = torch.randint(CLASSES, (2, 32, 32), dtype=torch.uint8)
    loss = Adversarial(IGNORE, CLASSES, weight=0.7, lr=0.0)
    opinion = loss.discriminator(logits.softmax(1))
    full = F.interpolate(logits, (32, 32), mode="bilinear", align_corners=False)
    expected = F.cross_entropy(full, mask.long()) - 0.7 * opinion.sigmoid().log().mean()
    (slope,) = torch.autograd.grad(expected, logits)
    ours = loss.with_image(logits, mask, mask)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(ours, logits)[0], slope, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(loss(logits, mask), F.cross_entropy(full, mask.long()))  # what validation shows
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_no_images_are_zero_and_bad_masks_are_told() -> None:
    logits, mask = torch.randn(2, CLASSES, 8, 8, requires_grad=True), torch.zeros(2, 32, 32, dtype=torch.uint8)
    loss = Adversarial(IGNORE, CLASSES)
    assert loss.with_image(logits[:0], mask[:0], mask[:0]) == 0
    assert all(parameter.isfinite().all() for parameter in loss.parameters())
    for labels, says in ((mask.to(torch.uint16), "mask is uint16"), (mask[:, :0], "nothing to compare")):
        with pytest.raises(UserError, match=says):
            loss.with_image(logits, labels, mask)


def test_a_step_of_the_discriminator_is_that_of_adam_on_the_sum_of_two_means() -> None:
    torch.manual_seed(0)
    logits, mask = torch.randn(2, CLASSES, 8, 8), torch.randint(CLASSES, (2, 32, 32), dtype=torch.uint8)
    loss = Adversarial(IGNORE, CLASSES, lr=1e-3)
    twin = Adversarial(IGNORE, CLASSES).discriminator.requires_grad_(True)
    twin.load_state_dict(loss.discriminator.state_dict())
    prediction = logits.softmax(1)
    told = [twin(maps) for maps in (label_distribution(prediction, mask, IGNORE), prediction)]
    adam = torch.optim.Adam(twin.parameters(), 1e-3, betas=(0.5, 0.999))
    (-told[0].sigmoid().log().mean() - (1 - told[1].sigmoid()).log().mean()).backward()
    adam.step()
    loss.with_image(logits, mask, mask)
    for ours, theirs in zip(loss.discriminator.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-3, atol=2e-5)


def test_the_discriminator_learns_to_tell_and_can_be_fooled() -> None:
    """Constant predictions against stripes: it tells them; by its slope alone the prediction moves towards it."""
    torch.manual_seed(0)
    mask = torch.zeros(1, 12, 12, dtype=torch.uint8)
    mask[:, ::2] = 1
    logits = torch.zeros(1, 2, 12, 12, requires_grad=True)
    loss = Adversarial(IGNORE, 2, weight=1.0, lr=1e-3, loss=lambda _: lambda logits, mask: 0 * logits.sum())
    first = loss.with_image(logits, mask, mask).detach()
    for _ in range(30):
        last = loss.with_image(logits, mask, mask)
    assert last.detach() > first + 1
    (slope,) = torch.autograd.grad(last, logits)
    with torch.no_grad():
        fooled = F.softplus(-loss.discriminator((logits - 50 * slope).softmax(1))).mean()
    assert fooled < last.detach()


def test_other_classes() -> None:
    with pytest.raises(UserError, match=r"loss\.num_classes is 3: the data has 4"):
        Adversarial(IGNORE, 3).with_image(torch.randn(1, 4, 8, 8), torch.zeros(1, 8, 8).byte(), torch.zeros(1))
    with pytest.raises(UserError, match=r"loss\.weight -1"):
        Adversarial(IGNORE, 3, weight=-1)


def test_it_goes_on_from_a_checkpoint_exactly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batches = [(torch.randn(2, CLASSES, 8, 8), torch.randint(CLASSES, (2, 32, 32)).byte()) for _ in range(3)]
    whole = Adversarial(IGNORE, CLASSES, lr=1e-2)
    for k, (logits, mask) in enumerate(batches):
        if k == 2:
            torch.save(whole.state_dict(), tmp_path / "state")
        last = whole.with_image(logits, mask, mask)
    resumed = Adversarial(IGNORE, CLASSES, lr=1e-2)
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert resumed.with_image(*batches[2], batches[2][1]) == last
    assert all(map(torch.equal, whole.discriminator.parameters(), resumed.discriminator.parameters()))


def test_training_by_a_recipe(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    encoder = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}}
    decoder = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
    net = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": encoder, "decoder": decoder}}
    loss = {"class_path": "seglight.losses.Adversarial", "init_args": {"num_classes": 8, "lr": 1e-3}}
    data = {"size": 32, "train_images": 8, "eval_images": 2, "batch_size": 4, "num_workers": 0}
    content = {
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "num_sanity_val_steps": 0, "enable_progress_bar": False},
        "model": {"net": net, "loss": loss},
        "data": {"class_path": "seglight.data.ShapesDataModule", "init_args": data},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    ran = seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    extra = torch.load(checkpoint, weights_only=True)["state_dict"]["loss._extra_state"]
    assert {float(state["step"]) for state in extra["state"].values()} == {2.0}
    again = seglight_cli("validate", "-c", tmp_path / "recipe.yaml", "--ckpt_path", checkpoint, "--run_dir", tmp_path)
    assert again.rc == 0, again.err
