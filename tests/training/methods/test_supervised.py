"""Supervised training needs no mention, and a method of the user's own is one file and its name in a recipe."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Batch, Criterion, Method
from seglight.training.methods import Supervised
from tests.support.resumable import RECIPE, differences, final
from tests.support.training import assert_same, fit, new_module, plain_loop, samples

OWN = '''
import torch
from torch import Tensor, nn

from seglight.interfaces import Batch, Criterion, Method


class Mirrored(Method):
    """The loss of images and of their mirror images, each by a learned weight."""

    def __init__(self, num_classes: int, ignore_index: int, start: float = 0.0) -> None:
        super().__init__(num_classes, ignore_index)
        self.balance = nn.Parameter(torch.tensor(start))

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        mirrored: Batch = {**batch, "image": batch["image"].flip(-1), "mask": batch["mask"].flip(-1)}
        share = self.balance.sigmoid()
        return share * criterion(net(batch["image"]), batch) + (1 - share) * criterion(
            net(mirrored["image"]), mirrored
        )
'''


def test_it_is_the_default_and_a_plain_loop() -> None:
    module = new_module()
    assert isinstance(module.method, Supervised)
    assert not [key for key in module.state_dict() if key.startswith("method")]
    fit(samples(), module=module)
    assert_same(module.net, plain_loop([samples()[k : k + 2] for k in range(0, 8, 2)]))


def test_a_method_of_ones_own(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirrored_method.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    method = {"class_path": "mirrored_method.Mirrored", "init_args": {"start": 0.5}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"model": {"method": method}}))
    recipes = ("-c", tmp_path / "recipe.yaml", "-c", tmp_path / "own.yaml", "--trainer.max_epochs", 1)
    ran = seglight_cli("fit", *recipes, "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["state_dict"]["method.balance"] != 0.5
    assert "method" in [group["name"] for group in checkpoint["optimizer_states"][0]["param_groups"]]


def test_a_run_that_knew_no_methods_is_resumed_and_is_the_same(
    tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = tmp_path / "run"
    assert seglight_cli("fit", "-c", tmp_path / "recipe.yaml", "--run_dir", run).rc == 0
    before = final(run)
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content["model"].pop("method") == {"class_path": "seglight.training.methods.Supervised"}
    (run / "config.yaml").write_text(yaml.safe_dump(content))
    again = seglight_cli("fit", "--run_dir", run, "--resume")
    assert again.rc == 0, again.err
    assert differences(final(run), before) == []


def test_a_method_that_cannot_be_called_is_one_line() -> None:
    method: Any = None
    with pytest.raises(
        UserError, match=r"^model\.method: it is called with num_classes .*: give a subclass of seglight"
    ):
        new_module(method=method)


class Returning(Method):
    """Returns what it is constructed with."""

    def __init__(self, num_classes: int, ignore_index: int, value: Any) -> None:
        super().__init__(num_classes, ignore_index)
        self.value = value

    def forward(self, net: nn.Module, batch: Batch, criterion: Criterion) -> Tensor:
        return self.value


@pytest.mark.parametrize(
    ("value", "got"), [(None, "NoneType"), (0.5, "float"), (torch.zeros(2, 3), r"a tensor of shape \(2, 3\)")]
)
def test_a_method_that_returns_no_loss_is_one_line(value: Any, got: str) -> None:
    with pytest.raises(UserError, match=f"model.method Returning returns {got}: return the loss as one tensor"):
        fit(samples(), module=new_module(method=partial(Returning, value=value)))
