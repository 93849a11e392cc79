"""What each private name of Lightning does for us: a release that breaks one is found here, by its name."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seglight.training import lightning_internals as internals
from tests.support.training import Noise, fit, new_module, new_trainer, samples


class At(Callback):
    """Calls a function at the end of each training batch, and keeps what it gives."""

    def __init__(self, ask: Any) -> None:
        self.ask = ask
        self.found: list[Any] = []

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.found.append(self.ask(trainer))


class Once(Callback):
    """Calls a function before the first batch."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        self.act(trainer)


class Evaluations(Callback):
    """The steps after which was validated."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_validation_end(self, trainer: Trainer, *args: Any) -> None:
        self.steps.append(trainer.global_step)


@pytest.fixture
def handler() -> Iterator[Any]:
    """A handler of SIGTERM, which is there as long as the test runs."""
    before = signal.getsignal(signal.SIGTERM)

    def ours(number: int, frame: object) -> None:
        pass

    yield ours
    signal.signal(signal.SIGTERM, before)


def test_use_signal_handlers(handler: Any) -> None:
    seen = At(lambda trainer: signal.getsignal(signal.SIGTERM))
    trainer = new_trainer(seen)
    trainer.fit(new_module(), datamodule=Noise(samples(2)))
    assert seen.found != [handler]
    seen.found.clear()
    trainer = new_trainer(seen)
    internals.use_signal_handlers(trainer, lambda: signal.signal(signal.SIGTERM, handler))
    trainer.fit(new_module(), datamodule=Noise(samples(2)))
    assert seen.found == [handler]


@pytest.mark.parametrize(("skip", "expected"), [(False, 4), (True, 0)])
def test_skip_sigterm_broadcast(skip: bool, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process group that takes itself for two processes, Lightning asks at each of four steps, or never."""
    asked: list[int] = []
    monkeypatch.setattr(dist, "broadcast", lambda tensor, src: asked.append(src))

    def begin(trainer: Trainer) -> None:
        monkeypatch.setattr(Trainer, "world_size", 2)
        if skip:
            internals.skip_sigterm_broadcast(trainer)

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        fit(samples(), Once(begin))
    finally:
        dist.destroy_process_group()
    assert len(asked) == expected


def test_is_accumulating() -> None:
    seen = At(internals.is_accumulating)
    fit(samples(), seen, accumulate_grad_batches=3)
    assert seen.found == [True, True, False, False]  # the last batch of an epoch steps with what there is


def test_reload_train_loader() -> None:
    class Counted(Noise):
        made = 0

        def train_dataloader(self) -> Any:
            self.made += 1
            return super().train_dataloader()

    for reload, expected in ((False, 1), (True, 2)):
        data, trainer = Counted(samples()), new_trainer(max_epochs=1)
        trainer.fit(new_module(), datamodule=data)
        if reload:
            internals.reload_train_loader(trainer)
        trainer.fit_loop.setup_data()
        assert data.made == expected


def test_logged_steps_and_set_logged_steps() -> None:
    """Loggers count from 0, and batches of one step have one number."""
    seen = At(internals.logged_steps)
    fit(samples(), seen, accumulate_grad_batches=2)
    assert seen.found == [0, 0, 1, 1]
    fit(samples(), Once(lambda trainer: internals.set_logged_steps(trainer, 40)), later := At(internals.logged_steps))
    assert later.found == [40, 41, 42, 43]


def test_write_logged_steps(tmp_path: Path) -> None:
    """A run that resumes from what was written counts on from there."""
    trainer = new_trainer()
    trainer.fit(new_module(), datamodule=Noise(samples()))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    state = checkpoint["loops"]["fit_loop"]
    assert state["epoch_loop.state_dict"][internals.LOGGED_STEPS] == 4
    internals.write_logged_steps(state, 70)
    torch.save(checkpoint, tmp_path / "b.ckpt")
    seen = At(internals.logged_steps)
    resumed = new_trainer(seen, max_epochs=2)
    resumed.fit(new_module(), datamodule=Noise(samples()), ckpt_path=tmp_path / "b.ckpt", weights_only=True)
    assert seen.found == [70, 71, 72, 73]


def test_logged_metrics() -> None:
    """Only what this epoch has logged; the public attribute still has the value of the first epoch."""

    class Logging(BoringModel):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("later" if self.current_epoch else "first", torch.tensor(1.0 + self.current_epoch))
            return super().training_step(batch, batch_idx)

    now = At(lambda trainer: {key: float(value) for key, value in internals.logged_metrics(trainer).items()})
    trainer = new_trainer(now, log_every_n_steps=1, limit_train_batches=1, max_epochs=2)
    trainer.fit(Logging(), datamodule=BoringDataModule())
    assert now.found == [{"first": 1.0}, {"later": 2.0}]
    assert set(trainer.logged_metrics) == {"first", "later"}


class Scored(BoringModel):
    """Has scores of two classes after each validation, which it logs, or gives to loggers and monitors at once."""

    def __init__(self, at_once: bool) -> None:
        super().__init__()
        self.at_once = at_once

    def on_validation_epoch_end(self) -> None:
        values = {"val/a": 0.25 + self.current_epoch, "val/b": float("nan")}
        if not self.at_once:
            self.log_dict({key: torch.tensor(value) for key, value in values.items()})
        elif not self.trainer.sanity_checking:
            internals.give_values(self.trainer, values)


def test_give_values(tmp_path: Path) -> None:
    """Monitors and TensorBoard see the same values at the same steps as those of `self.log`."""
    found: list[Any] = []
    for at_once in (False, True):
        stopping = EarlyStopping("val/a", mode="max", stopping_threshold=1.0)
        trainer = Trainer(
            max_epochs=3,
            limit_train_batches=2,
            accelerator="cpu",
            callbacks=[stopping],
            logger=TensorBoardLogger(tmp_path / str(at_once)),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Scored(at_once), datamodule=BoringDataModule())
        events = EventAccumulator(trainer.logger.log_dir).Reload()  # type: ignore[union-attr]
        points = {key: [(one.step, str(one.value)) for one in events.Scalars(key)] for key in ("val/a", "val/b")}
        public = trainer.callback_metrics, trainer.logged_metrics
        known = [{key: str(float(values[key])) for key in points} for values in public]
        found.append((points, known, stopping.stopped_epoch))
    assert found[0] == found[1]
    assert found[1][0]["val/a"] == [(1, "0.25"), (3, "1.25")]
    assert found[1][1] == 2 * [{"val/a": "1.25", "val/b": "nan"}]


def test_validation_seconds_and_set_validation_seconds() -> None:
    """An hour leaves a short run without a validation, unless the batches decide."""
    assert internals.validation_seconds(new_trainer(val_check_interval=1)) is None
    assert internals.validation_seconds(new_trainer(val_check_interval="00:01:00:00")) == 3600

    def by_batches(trainer: Trainer) -> None:
        internals.set_validation_seconds(trainer, None)
        trainer.val_check_batch = 2

    for change, expected in ((lambda trainer: None, []), (by_batches, [2, 4])):
        seen = Evaluations()
        options = {"val_check_interval": "00:01:00:00", "limit_val_batches": 1}
        fit(samples(), Once(change), seen, **options)
        assert seen.steps == expected


def test_unsaved_state_and_set_unsaved_state(tmp_path: Path) -> None:
    """With it, a ModelCheckpoint of another process knows that this step is saved; its own state lacks that."""
    saved = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1)
    fit(samples(), saved, enable_checkpointing=True)
    state = internals.unsaved_state(saved)
    assert state["_last_global_step_saved"] == 4
    assert Path(state["_last_checkpoint_saved"]).name == "epoch=0-step=4.ckpt"
    assert not state.keys() - {"current_score"} & saved.state_dict().keys()
    other = ModelCheckpoint(tmp_path, every_n_train_steps=2, save_top_k=-1)
    other.load_state_dict(saved.state_dict())
    assert internals.unsaved_state(other)["_last_global_step_saved"] == 0
    internals.set_unsaved_state(other, state)
    assert internals.unsaved_state(other) == state


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, False),
        ({"sync_batchnorm": True}, False),  # one process has nothing to synchronise with
        ({"strategy": DDPStrategy(cluster_environment=LightningEnvironment())}, False),
        ({"strategy": DDPStrategy(cluster_environment=LightningEnvironment()), "sync_batchnorm": True}, True),
    ],
)
def test_syncs_batch_norm(options: dict[str, Any], expected: bool) -> None:
    assert internals.syncs_batch_norm(new_trainer(**options)) == expected


class Averaging(WeightAveraging):
    """Keeps its average on a device that is chosen late."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        internals.set_average_device(self, torch.device("meta"))
        super().setup(trainer, pl_module, stage)


def test_set_average_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def average(model: Any, device: torch.device, **options: Any) -> Any:
        asked.append(device)
        raise InterruptedError

    monkeypatch.setattr("lightning.pytorch.callbacks.weight_averaging.AveragedModel", average)
    with pytest.raises(InterruptedError):
        fit(samples(), Averaging())
    assert asked == [torch.device("meta")]


def test_averaged_module() -> None:
    """The equal average of the weights after each of two steps."""
    weights: list[torch.Tensor] = []
    module = new_module()
    average = WeightAveraging(device="cpu")
    assert internals.averaged_module(average) is None
    updates = At(lambda trainer: internals.averaged_module(average)[1])  # type: ignore[index]
    keep = At(lambda trainer: weights.append(module.net.head.weight.detach().clone()))
    seen: list[torch.Tensor] = []

    class Last(Callback):
        def on_train_end(self, trainer: Trainer, *args: Any) -> None:
            found = internals.averaged_module(average)
            assert found is not None
            seen.append(found[0].net.head.weight.detach().clone())  # type: ignore[union-attr]

    fit(samples(4), average, updates, keep, Last(), module=module)
    assert updates.found == [1, 2]
    torch.testing.assert_close(seen[0], (weights[0] + weights[1]) / 2)


def test_set_data_parallel_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mesh has as many groups as were set."""
    strategy = ModelParallelStrategy(tensor_parallel_size=1)
    internals.set_data_parallel_size(strategy, 3)
    strategy.connect(new_module())
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr("lightning.pytorch.strategies.model_parallel._setup_device_mesh", lambda *a: asked.append(a))
    monkeypatch.setattr(ModelParallelStrategy, "_setup_distributed", lambda self: None)
    monkeypatch.setattr(ModelParallelStrategy, "world_size", 3)
    monkeypatch.setattr(ModelParallelStrategy, "root_device", torch.device("cpu"))
    monkeypatch.setattr(type(strategy).__mro__[1], "setup_environment", lambda self: None)
    strategy.setup_environment()
    assert asked[0][0] == 3


def test_named_epoch_bar(capsys: pytest.CaptureFixture[str]) -> None:
    class Bar(internals.NamedEpochBar):
        def describe_epoch(self, epoch: int) -> str:
            return f"{super().describe_epoch(epoch)} as the {epoch + 1}. one"

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            super().on_train_epoch_end(trainer, pl_module)
            assert self.progress is not None
            told.append(self.progress.tasks[-1].description)

    told: list[str] = []
    fit(samples(), Bar(), enable_progress_bar=True)
    assert told == ["Epoch 0/0  as the 1. one"]
    assert "Epoch" not in capsys.readouterr().out, "it would stand behind the last lines of a run"


class Recorder(internals.SubcommandCLI):
    """Notes what is called."""

    calls: list[Any]

    def run_subcommand(self, subcommand: str) -> None:
        self.calls.append(subcommand)
        super().run_subcommand(subcommand)

    def subcommand_arguments(self, subcommand: str) -> dict[str, Any]:
        arguments = super().subcommand_arguments(subcommand)
        self.calls.append(sorted(arguments))
        return arguments


class Model(BoringModel):
    """Has a hyperparameter."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.width = width


@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")
def test_subcommand_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint's width of 5 does not replace the command line's 7."""
    monkeypatch.chdir(tmp_path)
    model = Model(5)
    trainer = new_trainer(max_steps=1)
    trainer.fit(model, datamodule=BoringDataModule())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    monkeypatch.setattr(Recorder, "calls", [], raising=False)
    quiet = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    args = ["test", "--model.width", "7", "--ckpt_path", str(tmp_path / "a.ckpt"), "--trainer.accelerator", "cpu"]
    args += [f"--trainer.{name}=false" for name in quiet] + ["--trainer.limit_test_batches=1"]
    options = {"save_config_callback": None, "seed_everything_default": 0, "load_from_checkpoint_support": False}
    cli = Recorder(Model, BoringDataModule, args=args, **options)
    assert cli.calls == ["test", ["ckpt_path", "datamodule", "model", "verbose", "weights_only"]]
    assert cli.model.width == 7
    assert cli.subcommand_parser("test").get_defaults().ckpt_path is None
    assert cli.subcommand_parser("fit").get_defaults().ckpt_path is None


class OnlyTest(internals.SubcommandCLI):
    """Knows its subcommand."""

    command = "test"


@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")
def test_only_the_subcommand_that_runs_has_options() -> None:
    options = {"save_config_callback": None, "seed_everything_default": 0, "load_from_checkpoint_support": False}
    args = ["test", "--model.width", "7", "--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    cli = OnlyTest(Model, BoringDataModule, args=args, **options)
    assert cli.model.width == 7
    assert "ckpt_path" in cli.subcommand_parser("test").get_defaults()
    assert "model" not in cli.subcommand_parser("fit").get_defaults()
