"""Distillation against torch's own Kullback-Leibler divergence, and in a training from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from seglight.checkpoints.checkpoint import load_net
from seglight.data.classes import check_trained
from seglight.data.datasets.shapes_scenes import CLASSES
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.losses import CrossEntropy, Distillation
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from tests.support.checkpoint_files import card

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}}
DECODER = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
NET = {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": ENCODER, "decoder": DECODER}}
COUNT = len(CLASSES)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = EncoderDecoder(
        COUNT, TimmEncoder("test_resnet", None), lambda channels, strides: FPN(channels, strides, 8, 8)
    )
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save(
        {"seglight": card(CLASSES.names, CLASSES.palette, NET).to_dict(), "state_dict": state},
        tmp_path / "teacher.ckpt",
    )
    return tmp_path / "teacher.ckpt"


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Logits at stride 8, mask, image."""
    torch.manual_seed(1)
    image = torch.randint(256, (2, 3, 64, 96), dtype=torch.uint8)
    mask = torch.randint(COUNT, (2, 64, 96), dtype=torch.uint8)
    mask[:, :20] = 255
    return torch.randn(2, COUNT, 8, 12, requires_grad=True), mask, image


def test_no_images_are_zero_and_bad_masks_are_refused(teacher: Path, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, mask, image = batch
    loss = Distillation(255, str(teacher))
    assert loss.with_image(logits[:0], mask[:0], image[:0]) == 0
    for labels, says in ((mask.to(torch.uint16), "mask is uint16"), (mask[:, :0], "nothing to compare")):
        with pytest.raises(UserError, match=says):
            loss.with_image(logits, labels, image)


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 1.0), (0.3, 1.0), (0.5, 4.0), (1.0, 0.5)])
def test_value_and_gradient(
    weight: float, temperature: float, teacher: Path, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    logits, mask, image = batch
    with torch.no_grad():
        theirs = load_net(teacher)[0](image).logits  # at stride 4
        theirs = F.interpolate(theirs, (8, 12), mode="bilinear", align_corners=False)
    rows = [x.permute(0, 2, 3, 1).reshape(-1, COUNT) for x in (logits, theirs)]
    soft = F.kl_div(F.log_softmax(rows[0] / temperature, 1), F.softmax(rows[1] / temperature, 1), reduction="batchmean")
    full = F.interpolate(logits, (64, 96), mode="bilinear", align_corners=False)
    hard = F.cross_entropy(full, mask.long(), ignore_index=255)
    expected = (1 - weight) * hard + weight * temperature**2 * soft
    (gradient,) = torch.autograd.grad(expected, logits)

    loss = Distillation(255, str(teacher), weight, temperature)
    ours = loss.with_image(logits, mask, image)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(ours, logits)[0], gradient, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(loss(logits, mask), hard)  # what validation shows
    assert loss.denominator(mask) == (mask != 255).sum()


def test_the_teacher_is_no_part_of_the_student(teacher: Path) -> None:
    loss = Distillation(255, str(teacher), loss=CrossEntropy).train()
    assert not loss.state_dict()
    assert not list(loss.parameters())
    assert not any(module.training for module in loss.teacher.modules())
    loss.to(torch.float64)
    assert {parameter.dtype for parameter in loss.teacher.parameters()} == {torch.float64}


def test_a_teacher_of_other_images_is_refused(teacher: Path) -> None:
    loss = Distillation(255, str(teacher))
    assert loss.classes is not None
    check_trained(loss.classes, loss)
    bands = Bands(type="uint16", mean=(900.0,) * 3, std=(300.0,) * 3)
    with pytest.raises(UserError, match=r"have 3 bands of uint16 \(.*\) and 3 bands of uint8 \(.*\): take"):
        check_trained(loss.classes, loss, bands=bands)


@pytest.mark.parametrize(
    ("weight", "temperature"), [(-0.1, 1), (1.1, 1), (0.5, 0), (0.5, float("nan")), (None, 1), (0.5, None)]
)
def test_out_of_range(weight: Any, temperature: Any, teacher: Path) -> None:
    with pytest.raises(UserError, match=r"loss\.weight .* loss\.temperature"):
        Distillation(255, str(teacher), weight, temperature)


def test_training_by_a_recipe(teacher: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    loss = {"class_path": "seglight.losses.Distillation", "init_args": {"teacher": str(teacher), "weight": 1.0}}
    init_args = {"size": 32, "train_images": 8, "eval_images": 2, "batch_size": 4, "num_workers": 0}
    content = {
        "trainer": {"accelerator": "cpu", "max_steps": 2, "num_sanity_val_steps": 0, "enable_progress_bar": False},
        "model": {"net": NET, "loss": loss},
        "data": {"class_path": "seglight.data.ShapesDataModule", "init_args": init_args},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    ran = seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(key.startswith("net.") for key in checkpoint["state_dict"])

    other = torch.load(teacher, weights_only=True)
    other["seglight"]["class_names"].reverse()
    torch.save(other, teacher)
    ran = seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", tmp_path / "other")
    assert ran.rc == 2
    assert "the classes in another order" in ran.err
