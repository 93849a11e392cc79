"""Search a space of recipes by many trainings, on this machine, under Slurm or on Ray.

A sweep that was killed is resumed with --resume, and no training is run twice.
"""

from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import Namespace

from seglight.commands.executors.executor import Wording
from seglight.commands.sweep.overrides import as_arguments, split
from seglight.commands.sweep.sweep_state import (
    SWEEP_FILE,
    check_unchanged,
    free_overrides,
    keeps_all_checkpoints,
    merged_overrides,
    save_state,
    working_directory,
)
from seglight.errors import UserError, say
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.signals import STOP
from seglight.system.terminal import PlainConsole, plain_console
from seglight.training.resume.lock import PATIENCE, locked

DESCRIPTION = f"""{" ".join((__doc__ or "").split())} Any key of the recipe may follow, as in `fit`:
--data.root DIR, --trainer.max_epochs 2. It applies to every trial and is stored for --resume, where only keys
that change no result, such as the data root, may get another value; relative paths start at the directory in which the
sweep was started. When a trial is done, checkpoints that are not resumed any more are removed: of the best trial (with
several objectives: of the Pareto front) the weights are kept, of every trial its recipe, scores, logged values and log.
`running: {{keep: all}}` in SWEEP.yaml keeps all checkpoints."""

if TYPE_CHECKING:
    from seglight.commands.executors.executor import Executor
    from seglight.commands.executors.job import Command
    from seglight.commands.sweep.options import Sweep
    from seglight.commands.sweep.record import Record

EXECUTORS = {"local": (), "slurm": ("submitit",), "ray": ("ray",)}
"""Packages that each executor needs."""

RESUME = "resume with --resume"
"""How a sweep is continued, in messages of executors."""


def main(args: list[str]) -> int:
    """Run `sweep`.

    Returns:
        0, or 75 if a signal asked it to stop: `--resume` resumes it.

    Raises:
        UserError: An argument, the sweep or a corner of its space is wrong, or all trials fail for the same cause.
    """
    options = parse(args)
    extra = "ray" if options.executor == "ray" else "sweep"
    for package in ("optuna", "plotly", *EXECUTORS[options.executor]):
        if find_spec(package) is None:
            raise UserError(f'{package} is not installed, and sweeps need it: run pip install "seglight[{extra}]"')
    out = Path(options.out).absolute()  # trials may run in another working directory, as Ray's do
    with locked(out, "--out", PATIENCE if options.resume else 0.0, stopping=lambda: STOP.received is not None):
        return _run(options, out)


def parse(args: list[str]) -> Namespace:
    """Parse the options of the command; keys of the recipe are left in `overrides`.

    Raises:
        UserError: An option is wrong.
    """
    own, overrides = split(args[1:])
    parser = new_parser("sweep", DESCRIPTION)
    parser.add_argument("-c", "--config", type=str | None, help="SWEEP.yaml; default with --resume: that of the folder")
    parser.add_argument("--out", type=str, required=True, help="folder of the sweep")
    parser.add_argument("--executor", type=Literal["local", "slurm", "ray"], default="local", help="where trials run")
    parser.add_argument("--resume", action="store_true", help="resume the sweep in --out, or start it")
    options = parse_arguments(parser, own)
    options.overrides = overrides
    kept = Path(options.out) / SWEEP_FILE
    if options.config is None and not (options.resume and kept.is_file()):
        raise UserError("no sweep is given: give --config SWEEP.yaml, or --resume with the --out of a sweep")
    if kept.is_file() and not options.resume:
        raise UserError(
            f"{options.out}: the folder already holds a sweep: choose another --out, or resume it with --resume"
        )
    return options


def _run(options: Namespace, out: Path) -> int:
    from seglight.commands.sweep.dry_run import check_overrides, dry_run
    from seglight.commands.sweep.options import read_sweep

    path = Path(options.config or out / SWEEP_FILE).absolute()
    with chdir(working_directory(out)):  # the recipes' relative paths start here
        sweep = read_sweep(path)
        check_unchanged(out, path, sweep)
        sweep.overrides = merged_overrides(out, options.overrides)
        console = plain_console(soft_wrap=False)
        if options.overrides:
            check_overrides(sweep)
        if not (out / "trials").exists():
            console.print(f"dry run: {dry_run(sweep, out)} corners of the space can be built")
        save_state(out, path.read_text(encoding="utf-8"), sweep)
        if keeps_all_checkpoints(out, sweep) and sweep.running.keep is None:
            say(
                f"{out}: all checkpoints of this sweep are kept, as it was started before `running.keep` existed: set "
                "running.keep: best to remove those that are not needed"
            )
        return _search(sweep, out, executor_for(options.executor, sweep, out), console)


def _search(sweep: "Sweep", out: Path, executor: "Executor", console: PlainConsole) -> int:
    from seglight.commands.executors.endings import USER_ERROR
    from seglight.commands.sweep.cleanup import CheckpointCleanup
    from seglight.commands.sweep.coordinator import Coordinator
    from seglight.commands.sweep.dry_run import recipe_of
    from seglight.commands.sweep.latency import measure_latencies
    from seglight.commands.sweep.report import closing_lines, write_report
    from seglight.commands.sweep.table import LiveTable, status
    from seglight.commands.sweep.trial import SEGLIGHT, costs_command, trial_commands

    def changed(record: "Record") -> None:
        table.changed(record)
        if record.done and not keep_all:
            cleanup.run()

    def costs(folder: Path) -> "Command":
        return costs_command(folder, SEGLIGHT, free)

    trials = out / "trials"
    keep_all = keeps_all_checkpoints(out, sweep)
    free = as_arguments(free_overrides(sweep.overrides))
    coordinator = Coordinator(
        trials,
        sweep,
        executor,
        recipe=lambda record: recipe_of(sweep, record.params),
        commands=lambda folder: trial_commands(sweep, folder, SEGLIGHT, free),
        changed=changed,
        stop=STOP,
    )
    records = coordinator.records
    cleanup = CheckpointCleanup(trials, sweep, records)
    STOP.install()
    try:
        with LiveTable(sweep, records, console) as table:
            code = coordinator.run()
            code = code or measure_latencies(trials, sweep, records, executor, costs, changed, STOP)
    finally:
        STOP.restore()
        executor.close()
    if not keep_all:
        cleanup.run(ended=code == 0)
    if not console.is_terminal:  # there the table shows it
        console.print(status(sweep, records))
    write_report(sweep, records, out)
    console.print("\n".join(closing_lines(out, records, cleanup.freed)), soft_wrap=True)
    if code == USER_ERROR:
        raise UserError(
            f"all {sum(record.state == 'failed' for record in records)} trials failed for the same cause: "
            f"{coordinator.last_cause}: correct it, then choose another --out, or try other candidates with --resume"
        )
    if code:
        say(f"stopped: resume the sweep with `seglight sweep --out {out} --resume`")
    return code


def executor_for(name: str, sweep: "Sweep", out: Path) -> "Executor":
    """Executor that runs the trials.

    Raises:
        UserError: Its cluster is not available, or a package is not installed.
    """
    if name == "slurm":
        from seglight.commands.executors.slurm import SlurmExecutor

        parameters = {"job_name": "seglight-sweep"} | sweep.running.slurm
        return SlurmExecutor(out / "slurm", parameters, Wording("running.slurm", RESUME))
    if name == "ray":
        from seglight.commands.executors.ray import RayExecutor

        return RayExecutor(sweep.running.ray, Wording("running.ray", RESUME))
    from seglight.commands.executors.local import LocalExecutor, device_slots, visible_devices

    running = sweep.running
    return LocalExecutor(device_slots(running.parallel, running.devices, visible_devices()))
