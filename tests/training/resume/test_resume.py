"""Killed runs are resumed as if nothing had happened: all files are compared with the undisturbed run's.

Covers: system.run_files, training.resume.environment_fingerprint, training.resume.evaluation_state,
training.resume.position, training.resume.random_states.
"""

import io
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.checkpoints import writer as checkpoint_files
from seglight.system.atomic import atomic_path
from seglight.system.run_files import LAST, RECIPE_FILE
from seglight.training.resume.resume import find_run_to_resume
from tests.support.resumable import differences, final, fit, in_forward, send, wait, write_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the recipe lies, and the undisturbed run."""
    folder = tmp_path_factory.mktemp("runs")
    write_recipe(folder)
    assert wait(fit(folder / "whole")) == 0, (folder / "whole.log").read_text()
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[str, Any]:
    """What the undisturbed run leaves."""
    return final(folder / "whole")


def with_half_a_checkpoint() -> None:
    def write_half(content: io.BytesIO, path: Path) -> None:
        with atomic_path(path) as part:
            part.write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint_files.write_checkpoint = write_half


def between_the_renames() -> None:
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target).name == LAST:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, target)

    Path.replace = replace


def interrupt_twice() -> None:
    send(signal.SIGINT)
    send(signal.SIGINT)


KILL, TERM, USR1, INT = (
    partial(send, number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
)
MOMENTS = {
    "kill in a step": (partial(in_forward, True, 6, KILL), -9),
    "kill with half a checkpoint written": (with_half_a_checkpoint, -9),
    "kill when the old checkpoint is renamed and the new one is not": (between_the_renames, -9),
    "SIGTERM in an evaluation": (partial(in_forward, False, 3, TERM), 75),
    "kill in the rest of that evaluation": (partial(in_forward, False, 2, KILL), -9),
    "SIGUSR1 in a step": (partial(in_forward, True, 3, USR1), 75),
    "Ctrl-C in an evaluation": (partial(in_forward, False, 2, INT), 75),
    "two Ctrl-C": (partial(in_forward, True, 2, interrupt_twice), -2),
}


def test_killed_at_chosen_moments(folder: Path, undisturbed: dict[str, Any]) -> None:
    """One run through all of them; it saves every four steps by itself."""
    run_dir = folder / "chosen"
    for moment, (before, code) in MOMENTS.items():
        assert wait(fit(run_dir, before=before)) == code, (moment, (folder / "chosen.log").read_text())
    assert wait(fit(run_dir)) == 0
    log = (folder / "chosen.log").read_text()
    assert "last.ckpt is not there: resuming from the one before it" in log
    assert log.count("seglight: stopped after step") == 3, log
    assert f"seglight: {run_dir}: resumed at step 4\n" in log
    assert "nan" not in log
    assert differences(final(run_dir), undisturbed) == []
    assert not list(run_dir.rglob("*.part*"))


BY_STEPS = (
    "--trainer.max_epochs", -1, "--trainer.max_steps", 12, "--trainer.val_check_interval", 5,
    "--trainer.check_val_every_n_epoch", "null", "--trainer.accumulate_grad_batches", 2,
)  # fmt: skip
"""Evaluations at any place of an epoch, also between the two batches of a step; the end within an epoch."""


@pytest.mark.slow
def test_a_run_by_steps_killed_at_chosen_moments(folder: Path) -> None:
    assert wait(fit(folder / "steps", *BY_STEPS)) == 0, (folder / "steps.log").read_text()
    run_dir = folder / "steps killed"
    moments = (
        (partial(in_forward, True, 9, TERM), 75),  # the first of two batches of a step
        (partial(in_forward, False, 3, TERM), 75),  # in an evaluation after a whole step
        (partial(in_forward, True, 7, KILL), -9),
        (partial(in_forward, False, 4, TERM), 75),
    )
    for before, code in moments:
        assert wait(fit(run_dir, *BY_STEPS, before=before)) == code, (folder / "steps killed.log").read_text()
    assert wait(fit(run_dir, *BY_STEPS)) == 0
    assert differences(final(run_dir), final(folder / "steps")) == []


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_it_taken(folder: Path, undisturbed: dict[str, Any]) -> None:
    run_dir = folder / "damaged"
    assert wait(fit(run_dir, before=partial(in_forward, True, 10, TERM))) == 75
    last = run_dir / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 256):  # a single bit may lie between two entries
        content[place] ^= 1
    last.write_bytes(content)
    best = torch.load(last.with_name("best.ckpt"), weights_only=True)["global_step"]
    before = torch.load(last.with_name("last.previous.ckpt"), weights_only=True)
    assert before["exact"]["surroundings"] == {"train images": 26, "val images": 5, "threads": 1, "device": "cpu"}
    before["exact"]["surroundings"] |= {"train images": 27, "device": "NVIDIA H100"}
    torch.save(before, last.with_name("last.previous.ckpt"))
    run_dir = run_dir.rename(folder / "damaged and moved")
    assert wait(fit(run_dir)) == 0
    log = (folder / "damaged and moved.log").read_text()
    assert f"{run_dir}/checkpoints/last.ckpt is damaged: resuming from the one before it" in log
    assert "the run may not continue to the last digit: train images 27 -> 26, device NVIDIA H100 -> cpu\n" in log
    assert "dirpath has changed" not in log, "the best score so far would be forgotten"
    assert best == 6
    assert differences(final(run_dir), undisturbed) == []


def test_a_run_that_ended_before_its_first_checkpoint_says_that_it_begins_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert find_run_to_resume(run_dir, "model: {}", "exact") is None
    assert capsys.readouterr() == ("", "")
    run_dir.mkdir(exist_ok=True)
    (run_dir / RECIPE_FILE).write_text("model: {}")
    assert find_run_to_resume(run_dir, "model: {}", "exact") is None
    said = f"seglight: {run_dir}: its run ended before the first checkpoint, and begins again at step 0\n"
    assert said in capsys.readouterr()


def test_another_recipe_is_refused(folder: Path, seglight_cli: Callable[..., Any], tmp_path: Path) -> None:
    run_dir = shutil.copytree(folder / "whole", tmp_path / "run")
    fine = (
        "--data.init_args.num_workers",
        2,
        "--trainer.log_every_n_steps",
        5,
        "--trainer.enable_progress_bar",
        "true",
    )
    assert seglight_cli("fit", "--run_dir", run_dir, "--resume", *fine).rc == 0
    ran = seglight_cli("fit", "--run_dir", run_dir, "--resume", "--model.optimizer.init_args.lr", 0.5)
    assert ran.rc == 2
    assert "model.optimizer.init_args.lr: 0.01 -> 0.5 (--resume force resumes nevertheless)" in ran.err
    assert len(ran.err.splitlines()) == 1
    sharded = '{"class_path": "seglight.training.fsdp.FSDP"}'  # its optimizer's state is in another order
    ran = seglight_cli("fit", "--run_dir", run_dir, "--resume", "--trainer.strategy", sharded)
    assert ran.rc == 2
    assert "-> seglight.training.fsdp.FSDP" in ran.err


def test_options_that_make_no_sense(folder: Path, seglight_cli: Callable[..., Any], tmp_path: Path) -> None:
    recipe, last = folder / "recipe.yaml", folder / "whole" / "checkpoints" / "last.ckpt"
    for options, said in (
        (("--resume",), "no folder is given: add --run_dir DIR"),
        (("--resume", "--run_dir", tmp_path / "none"), "there is no run to resume and no recipe to start one"),
        (("-c", recipe, "--ckpt_path", last), "--run_dir DIR --resume, or start another from its weights"),
        (
            ("-c", recipe, "--run_dir", folder / "whole"),
            "holds a run already: choose another --run_dir, or resume it with",
        ),
    ):
        ran = seglight_cli("fit", *options)
        assert ran.rc == 2
        assert said in ran.err


def test_a_folder_that_cannot_be_written_to_is_said_first(
    folder: Path, seglight_cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    ran = seglight_cli("fit", "-c", folder / "recipe.yaml", "--run_dir", tmp_path / "file" / "run")
    assert ran.rc == 2
    assert "nothing can be written there (Not a directory): choose another --run_dir" in ran.err
