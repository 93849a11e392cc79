"""A compiled net trains, is evaluated as it is, and is saved under its own names."""

from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.callbacks import EMA, Compile
from tests.tiny import TinyNet
from tests.training import Noise, assert_same, fit, new_module, new_trainer, samples


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
