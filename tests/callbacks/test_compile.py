"""A compiled net trains, is evaluated as it is, and is saved under its own names."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.callbacks import EMA, Compile
from seglight.errors import UserError
from tests.support.tiny import TinyNet
from tests.support.training import Noise, assert_same, fit, new_module, new_trainer, samples


def test_the_training_alone_is_compiled() -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        def run(*args: Any) -> Any:
            calls.append(torch.is_grad_enabled())
            return graph(*args)

        return run

    found = fit(samples(), Compile({"backend": backend}), limit_val_batches=2)
    assert calls == [True] * 4
    assert_same(found.net, fit(samples(), limit_val_batches=2).net)


@pytest.mark.parametrize("average", [[], [EMA(0.5)]])
def test_a_checkpoint_has_the_nets_own_names(average: list[EMA], tmp_path: Path) -> None:
    trainer = new_trainer(*average, Compile({"backend": "eager"}))
    trainer.fit(new_module(), datamodule=Noise(samples()))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    state = torch.load(tmp_path / "x.ckpt", weights_only=True)["state_dict"]
    assert {key.removeprefix("net.") for key in state if key.startswith("net.")} == set(TinyNet(3).state_dict())


def test_it_says_what_it_compiles_and_how_long_that_took(capsys: pytest.CaptureFixture[str]) -> None:
    fit(samples(), Compile({"backend": "eager"}))
    before, after = capsys.readouterr().err.splitlines()
    assert before.startswith(
        "seglight: compiling TinyNet, 0.0 M parameters, with backend eager: the first steps take long"
    )
    assert re.fullmatch(r"seglight: compiled: the first step took \d+\.\d s", after)


@pytest.mark.parametrize("options", [{"backend": "none"}, {"mode": "fastest"}, {"speed": 3}])
def test_an_option_that_torch_does_not_know_is_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"callback Compile: options .*{next(iter(options.values()))}"):
        fit(samples(), Compile(options))
