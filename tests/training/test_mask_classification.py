"""Training by masks with classes: what the loss is given, progress, scores, and what a recipe chooses."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import seglight
from seglight.commands.fit.cli import SegmentationCLI
from seglight.data import ShapesDataModule
from seglight.errors import UserError
from seglight.interfaces import Batch
from seglight.losses import CrossEntropy, MaskClassificationLoss
from seglight.ops.mask_reading import semantic_labels
from seglight.training.mask_classification import BatchLabels, MaskClassificationModule, maker, padded_labels
from seglight.training.semantic import SegmentationModule
from tests.support.resumable import RECIPE
from tests.support.tiny import TinyNet
from tests.support.tiny_masks import TinyMaskNet
from tests.support.training import CLASSES, SGD, Noise, constant, new_trainer, samples

LOSS = partial(MaskClassificationLoss, num_points=64)
FACTS = (CLASSES, 255, ["a", "b", "c"], [(0, 0, 0)] * CLASSES)


def new_module(net: Any = TinyMaskNet, **options: Any) -> MaskClassificationModule:
    torch.manual_seed(0)
    options = {"optimizer": partial(SGD, lr=0.01), "schedule": constant, "loss": LOSS} | options
    return MaskClassificationModule(net, *FACTS, **options)


def plain_loop(batches: list[list[int]]) -> TinyMaskNet:
    """The same by plain torch: a step for each batch of images."""
    module = new_module(partial(TinyMaskNet, dropout=0.0))
    net: Any = module.net
    flat, rest = ([p for p in net.parameters() if (p.ndim == 1) == one] for one in (True, False))
    optimizer = SGD([{"params": rest}, {"params": flat, "weight_decay": 0}], lr=0.01)
    data = samples()
    for step, group in enumerate(batches):
        batch: Any = {key: torch.stack([data[k][key] for k in group]) for key in ("image", "mask")}
        points = [module.mask_loss.points(step, place, module.device) for place in range(len(group))]
        optimizer.zero_grad()
        module.loss(net(batch["image"]), BatchLabels(batch).targets(255), points).backward()
        optimizer.step()
    return net


def test_a_step_is_that_of_the_loss_on_the_masks_of_the_batch() -> None:
    module = new_module(partial(TinyMaskNet, dropout=0.0))
    new_trainer().fit(module, datamodule=Noise(samples()))
    expected = plain_loop([[0, 1], [2, 3], [4, 5], [6, 7]])
    for (name, mine), theirs in zip(module.net.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")
    assert module.net.progress == [0.0, 0.25, 0.5, 0.75]


def test_accumulated_batches_have_points_of_their_own_and_are_weighted_by_their_masks() -> None:
    """Only the class term, whose denominator is another number, is not that of one batch: it has no weight here."""
    loss = partial(LOSS, class_weight=0.0)
    one = new_module(partial(TinyMaskNet, dropout=0.0), loss=loss)
    two = new_module(partial(TinyMaskNet, dropout=0.0), loss=loss)
    data = samples(4)
    data[0]["mask"][:] = 1  # one mask of this image, and three of each other one
    new_trainer().fit(one, datamodule=Noise(data, 4))
    new_trainer(accumulate_grad_batches=2).fit(two, datamodule=Noise(data, 2))
    start = dict(new_module(partial(TinyMaskNet, dropout=0.0)).net.named_parameters())
    for (name, mine), theirs in zip(two.net.named_parameters(), one.net.parameters(), strict=True):
        step = float((theirs - start[name]).detach().abs().max())
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-4 * step + 1e-8)


def test_scores_and_loss_of_an_evaluation_are_those_of_the_whole_images() -> None:
    module = new_module()
    data = samples(2)
    new_trainer(limit_val_batches=1.0).validate(module, datamodule=Noise(data), verbose=False)
    assert module.scores is not None
    net = module.net.eval()
    right = total = losses = masks = 0.0
    for k, sample in enumerate(data):
        image, mask = sample["image"][None], sample["mask"][None]
        size = (32, 32)  # 16 x 24, padded
        padded = torch.nn.functional.pad(image.float(), (0, 8, 0, 16), mode="replicate").to(torch.uint8)
        with torch.no_grad():
            output = net(padded)
            labels = semantic_labels(output.class_logits, output.mask_logits, size)[:, :16, :24]
            batch: Any = {"image": image, "mask": mask}
            targets = BatchLabels(padded_labels(batch, 255)).targets(255)
            assert targets.maps.shape == (1, 32, 32)
            losses += float(module.loss(output, targets, [module.mask_loss.points(0, k, mask.device)])) * targets.count
        masks += targets.count
        right += int((labels == mask).sum())
        total += mask.numel()
    assert float(module.scores.accuracy) == pytest.approx(right / total)
    assert float(module.trainer.callback_metrics["val/loss"]) == pytest.approx(losses / masks, rel=1e-5)


def test_segments_of_a_batch_are_its_masks() -> None:
    segments = torch.tensor([[[1, 1], [2, 0]]], dtype=torch.int32)
    batch: Batch = {
        "image": torch.zeros(1, 3, 2, 2, dtype=torch.uint8),
        "mask": torch.tensor([[[4, 4], [4, 255]]], dtype=torch.uint8),
        "name": ["x"],
        "size": [(2, 2)],
        "segments": segments,
        "segment_classes": [torch.tensor([4, 4])],
        "segment_crowds": [torch.tensor([False, False])],
    }
    targets = BatchLabels(batch).targets(255)
    assert targets.classes == [[4, 4]]
    assert targets.maps.tolist() == [[[1, 1], [2, -1]]]
    padded = BatchLabels(padded_labels(batch, 255)).targets(255)
    assert padded.ids == [[1, 2]]
    assert padded.maps.shape == (1, 32, 32)
    assert int((padded.maps == -1).sum()) == 32 * 32 - 3


def test_a_recipe_whose_net_predicts_masks_is_run_by_this_module(tmp_path: Path) -> None:
    recipe = yaml.safe_load(RECIPE)
    recipe["model"]["net"] = {"class_path": "tests.support.tiny_masks.TinyMaskNet"}
    recipe["model"]["loss"] = {"class_path": "seglight.losses.MaskClassificationLoss", "init_args": {"num_points": 64}}
    recipe["trainer"] |= {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    cli = SegmentationCLI(["fit", "-c", str(path), "--run_dir", str(tmp_path / "run")])
    assert type(cli.model) is MaskClassificationModule
    assert cli.model.net.progress[-1] == 1.0, "the evaluation at the end"


def test_other_nets_are_trained_by_the_usual_module() -> None:
    for given in ({"class_path": "tests.support.tiny.TinyNet"}, {"class_path": "nothing.Here"}, {}, None, TinyNet):
        assert isinstance(maker(given)(SegmentationModule, net=TinyNet, **_facts()), SegmentationModule)


def _facts() -> dict[str, Any]:
    return dict(zip(("num_classes", "ignore_index", "class_names", "palette"), FACTS, strict=True))


def test_a_net_without_masks_and_a_loss_of_pixels_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.net: TinyNet gives logits of pixels"):
        new_module(TinyNet)
    with pytest.raises(UserError, match=r"model\.loss: TinyMaskNet predicts masks .* seglight\.losses\.MaskClass"):
        new_module(loss=CrossEntropy)


def test_a_module_of_python_is_trained_and_its_recipe_names_the_loss(tmp_path: Path) -> None:
    data = ShapesDataModule(size=64, train_images=4, eval_images=2, batch_size=2, num_workers=0)
    torch.manual_seed(data.seed)
    module = MaskClassificationModule(TinyMaskNet, **data.facts)
    run = seglight.fit(module, data, run_dir=tmp_path / "run", max_steps=1, accelerator="cpu", logger=False)
    recipe = yaml.safe_load((run.run_dir / "config.yaml").read_text())
    assert recipe["model"]["loss"]["class_path"] == "seglight.losses.MaskClassificationLoss"
    assert recipe["model"]["net"]["class_path"] == "tests.support.tiny_masks.TinyMaskNet"
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    labels = seglight.load(checkpoint, trust=["tests"]).predict(data.split("val").read(0)[0])
    assert labels.shape == (64, 64)
    assert labels.max() < data.num_classes
