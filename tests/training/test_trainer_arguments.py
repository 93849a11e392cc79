"""Every argument of Lightning's Trainer, with values at the edges: it works, or one line says why not.

Covers: training.trainer_values.
"""

import inspect
import re
from argparse import ArgumentError
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer

from seglight.errors import UserError
from seglight.training.trainer_arguments import (
    ARGUMENTS,
    check_arguments,
    check_machine,
    check_seed,
    check_trainer,
    refusals_in_one_line,
)
from tests.support.trainer_values import VALUES, WORKS

DOCS = Path(__file__).parents[2] / "docs" / "tasks" / "lightning.md"
NAMES = [name for name in inspect.signature(Trainer.__init__).parameters if name != "self"]


@cache
def trainer_parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Trainer, "trainer")
    return parser


def parsed(*options: str) -> dict[str, Any]:
    """The arguments of the Trainer as `fit` parses them: of one epoch on the CPU, if nothing else is said."""
    ours = ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.use_distributed_sampler=false"]
    config: dict[str, Any] = trainer_parser().parse_args([*ours, *options]).trainer.as_dict()
    return config


def built(options: dict[str, Any], command: str = "fit") -> Trainer:
    """The Trainer, after all checks that need no data."""
    check_arguments(options, command)
    check_machine(options)
    with refusals_in_one_line():
        trainer = Trainer(**options)
    check_trainer(trainer, options)
    return trainer


def complaint(*options: str, command: str = "fit") -> str:
    with pytest.raises(UserError) as caught:
        built(parsed(*options), command)
    return str(caught.value)


def refusal(option: str) -> str | None:
    """What is said of a value, None where it works; what is of another type, `fit` tells by the parser."""
    try:
        built(parsed(option))
    except ArgumentError:
        return "by the parser"
    except UserError as error:
        return str(error)
    return None


def test_every_argument_has_its_verdict() -> None:
    assert list(ARGUMENTS) == NAMES
    assert list(WORKS) == NAMES
    assert all(re.match("works|refused", argument.verdict) for argument in ARGUMENTS.values())


def test_the_documentation_has_the_verdicts() -> None:
    section = DOCS.read_text().split("## Trainer arguments", 1)[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M) == [(n, a.verdict) for n, a in ARGUMENTS.items()]


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("name", NAMES)
def test_values_at_the_edges(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASTER_ADDR", raising=False)  # Lightning leaves it behind
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = {value: refusal(f"--trainer.{name}={value}") for value in VALUES}
    assert {value for value, line in said.items() if line is None} == WORKS[name]
    assert all(re.fullmatch(r"trainer[.:].{10,300}|by the parser", line) for line in said.values() if line), said
    assert list(tmp_path.iterdir()) == [], "nothing is written"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("max_steps=0", "trainer.max_steps 0: nothing would be trained: give a whole number from 1"),
        ("max_epochs=-1", "trainer.max_epochs -1: the learning rate's schedule needs to know where the run ends"),
        ("max_epochs=null max_time=00:00:01:00", "trainer.max_epochs null: the learning rate's schedule needs to"),
        ("max_epochs=2 min_epochs=3", "trainer.min_epochs 3: it is more than max_epochs 2: lower it"),
        ("max_steps=2 min_steps=3", "trainer.min_steps 3: it is more than max_steps 2: lower it"),
        ("overfit_batches=2 limit_train_batches=3", "trainer.limit_train_batches 3: overfit_batches 2 sets it too"),
        ("overfit_batches=2 limit_val_batches=0.5", "trainer.limit_val_batches 0.5: overfit_batches 2 sets it too"),
        ("check_val_every_n_epoch=null val_check_interval=0.5", "trainer.val_check_interval 0.5: with check_val_every"),
        ("gradient_clip_algorithm=value", "trainer.gradient_clip_algorithm value: nothing is clipped without"),
        ("gradient_clip_val=1 gradient_clip_algorithm=foo", "trainer.gradient_clip_algorithm foo: give norm or value"),
        ("accelerator=gpu", "trainer.accelerator gpu: torch finds none on this machine: use auto or cpu"),
        ("accelerator=mps", "trainer.accelerator mps: torch finds none on this machine: use auto or cpu"),
        ("accelerator=tpu", "trainer.accelerator tpu: give one of auto, cpu, gpu, cuda, mps"),
        ("devices=1000", "trainer.devices 1000: so many processes on 2 cores: give at most 8"),
        ("devices=[0]", "trainer.devices [0]: on the CPU it is a number of processes: give a whole number from 1"),
        ("devices=2 use_distributed_sampler=true", "trainer.use_distributed_sampler true: the data module distributes"),
        ("devices=2 sync_batchnorm=true", "trainer.sync_batchnorm: torch supports it on GPUs only"),
        ("num_nodes=2", "trainer.num_nodes 2: no address of the other nodes is given"),
        ("barebones=true", "trainer.barebones true: it disables the logs, checkpoints and scores"),
        ("precision=64-true", "trainer.precision 64-true: losses and scores are exact for weights of 32 bits"),
        ("plugins=lightning.pytorch.plugins.io.TorchCheckpointIO", "trainer.plugins {'class_path': "),
        ("strategy.class_path=lightning.pytorch.strategies.DDPStrategy strategy.init_args.start_method=spawn",
         "trainer.strategy {'class_path': "),
        ("strategy=deepspeed", "trainer: "),
        ("default_root_dir=elsewhere", "trainer.default_root_dir elsewhere: all files of a run go to one folder"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_to_do(options: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert complaint(*(f"--trainer.{option}" for option in options.split())).startswith(said)


@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_that_torch_has_no_type_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for each argument that takes a number, also in a list, a duration and a class."""
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    for value in (str(10**23), str(2**63), f"[{10**23}]", f"{10**23}.0"):
        takes_any = name == "gradient_clip_val" and "[" not in value
        assert takes_any == (refusal(f"--trainer.{name}={value}") is None), value
    if "1000000000" in WORKS[name] and name != "gradient_clip_val":
        assert complaint(f"--trainer.{name}={2**63}").endswith(f"{2**63}: give whole numbers up to {2**63 - 1}")


@pytest.mark.parametrize(
    "options",
    [
        "max_epochs=-1 max_steps=3", "max_epochs=null max_steps=3 max_time=00:00:01:00", "max_epochs=3 max_steps=2",
        "check_val_every_n_epoch=null val_check_interval=7", "gradient_clip_val=1 gradient_clip_algorithm=norm",
        "overfit_batches=2 limit_train_batches=1.0", "benchmark=true deterministic=true", "max_epochs=0 fast_dev_run=2",
        "plugins=lightning.fabric.plugins.environments.LightningEnvironment",
    ],
)  # fmt: skip
def test_pairs_that_go_together(options: str) -> None:
    chosen = parsed(*(f"--trainer.{option}" for option in options.split()))
    check_arguments(chosen, "fit")


@pytest.mark.parametrize("command", ["validate", "test"])
def test_what_concerns_a_training_alone_does_not_stop_an_evaluation(command: str) -> None:
    built(parsed("--trainer.max_epochs=0", "--trainer.max_steps=0", "--trainer.limit_train_batches=0"), command)


def test_an_evaluation_needs_its_own_batches() -> None:
    assert complaint("--trainer.limit_val_batches=0", command="validate").startswith("trainer.limit_val_batches 0: ")
    assert complaint("--trainer.limit_test_batches=0", command="test").startswith("trainer.limit_test_batches 0: ")
    built(parsed("--trainer.limit_val_batches=0"), "test")


@pytest.mark.parametrize("seed", [-1, 2**32, None])
def test_seeds_out_of_range(seed: Any) -> None:
    with pytest.raises(UserError, match=f"give a whole number from 0 to {2**32 - 1}"):
        check_seed(seed)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, True, False])
def test_seeds(seed: Any) -> None:
    check_seed(seed)


def test_an_empty_trainer_is_refused() -> None:
    with pytest.raises(UserError, match="trainer: null: give arguments"):
        check_arguments({}, "fit")
