"""Search a space of recipes by many trainings: here, under Slurm or on Ray; killed and gone on with, none run twice."""

from argparse import ArgumentError
from contextlib import chdir
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace

from seglight.commands.sweep.overrides import as_arguments, split
from seglight.commands.sweep.sweep_state import (
    FILE,
    check_unchanged,
    folder_of_start,
    free_overrides,
    keep,
    keeps_all,
    overrides_of,
)
from seglight.errors import UserError, parser_complaint, say
from seglight.system.signals import STOP
from seglight.system.terminal import PlainConsole, plain_console
from seglight.training.resume.lock import PATIENCE, locked

DESCRIPTION = f"""{__doc__} Any key of the recipe may follow, as in `fit`: --data.init_args.root DIR,
--trainer.max_epochs 2. It holds for every trial and is kept for --resume, where only keys that change no result, such
as the data root, may be given another value; relative paths start at the folder in which the sweep was begun. When a
trial is done, the checkpoints that nobody resumes are removed: of the best trial (with several objectives: of the
Pareto front) the weights stay, of every trial its recipe, scores, logged values and log. `running: {{keep: all}}` in
SWEEP.yaml keeps all checkpoints."""

if TYPE_CHECKING:
    from seglight.commands.sweep.executors.executor import Executor
    from seglight.commands.sweep.job import Command
    from seglight.commands.sweep.options import Sweep
    from seglight.commands.sweep.record import Record

EXECUTORS = {"local": (), "slurm": ("submitit",), "ray": ("ray",)}
"""Packages that each wants."""


def main(args: list[str]) -> int:
    """Run `sweep`.

    Returns:
        0, or 75 where it was told to stop: `--resume` resumes it.

    Raises:
        UserError: An argument, the sweep or a corner of its space is wrong, or all trials fail for one reason.
    """
    options = parse(args)
    extra = "ray" if options.executor == "ray" else "sweep"
    for package in ("optuna", "plotly", *EXECUTORS[options.executor]):
        if find_spec(package) is None:
            raise UserError(f'sweeps need {package}: pip install "seglight[{extra}]"')
    out = Path(options.out).absolute()  # trials may run in another folder, as Ray's do
    with locked(out, "--out", PATIENCE if options.resume else 0.0, stopping=lambda: STOP.received is not None):
        return _run(options, out)


def parse(args: list[str]) -> Namespace:
    """The options of the command; keys of the recipe are left in `overrides`.

    Raises:
        UserError: One of them is wrong.
    """
    own, overrides = split(args[1:])
    parser = ArgumentParser(prog="seglight sweep", description=DESCRIPTION, exit_on_error=False)
    parser.add_argument("-c", "--config", type=str | None, help="SWEEP.yaml; with --resume, that of the folder")
    parser.add_argument("--out", type=str, required=True, help="folder of the sweep")
    parser.add_argument("--executor", type=Literal["local", "slurm", "ray"], default="local", help="where trials run")
    parser.add_argument("--resume", action="store_true", help="go on with the sweep in --out, or start it")
    try:
        options = parser.parse_args(own)
    except ArgumentError as error:
        raise UserError(f"{parser_complaint(str(error))} (see `seglight sweep --help`)") from error
    options.overrides = overrides
    kept = Path(options.out) / FILE
    if options.config is None and not (options.resume and kept.is_file()):
        raise UserError("which sweep? Give --config SWEEP.yaml, or --resume with the --out of one")
    if kept.is_file() and not options.resume:
        raise UserError(f"{options.out} holds a sweep already: choose another --out, or go on with --resume")
    return options


def _run(options: Namespace, out: Path) -> int:
    from seglight.commands.sweep.dry_run import check_overrides, rehearse
    from seglight.commands.sweep.options import read_sweep

    given = Path(options.config or out / FILE).absolute()
    with chdir(folder_of_start(out)):  # what the recipes' relative paths are meant from
        sweep = read_sweep(given)
        check_unchanged(out, given, sweep)
        sweep.overrides = overrides_of(out, options.overrides)
        console = plain_console(soft_wrap=False)
        if options.overrides:
            check_overrides(sweep)
        if not (out / "trials").exists():
            console.print(f"{rehearse(sweep, out)} corners of the space can be built")
        keep(out, given.read_text(encoding="utf-8"), sweep)
        if keeps_all(out, sweep) and sweep.running.keep is None:
            say(
                f"{out} was begun when all checkpoints were kept, and they still are: running.keep: best frees the rest"
            )
        return _search(sweep, out, executor_for(options.executor, sweep, out), console)


def _search(sweep: "Sweep", out: Path, executor: "Executor", console: PlainConsole) -> int:
    from seglight.commands.sweep.coordinator import Coordinator
    from seglight.commands.sweep.dry_run import recipe_of
    from seglight.commands.sweep.failures import REFUSED, closing_lines
    from seglight.commands.sweep.latency import measure_alone
    from seglight.commands.sweep.report import BEST, write_report
    from seglight.commands.sweep.table import LiveTable, status
    from seglight.commands.sweep.tidying import Tidying
    from seglight.commands.sweep.trial import SEGLIGHT, commands, costs_command

    def changed(record: "Record") -> None:
        table.changed(record)
        if record.settled and not keep_all:
            tidying.tidy()

    def costs(folder: Path) -> "Command":
        return costs_command(folder, SEGLIGHT, free)

    trials, keep_all = out / "trials", keeps_all(out, sweep)
    free = as_arguments(free_overrides(sweep.overrides))
    coordinator = Coordinator(
        trials,
        sweep,
        executor,
        recipe=lambda record: recipe_of(sweep, record.params),
        commands=lambda folder: commands(sweep, folder, SEGLIGHT, free),
        changed=changed,
        stop=STOP,
    )
    records = coordinator.records
    tidying = Tidying(trials, sweep, records)
    STOP.install()
    try:
        with LiveTable(sweep, records, console) as table:
            code = coordinator.run()
            code = code or measure_alone(trials, sweep, records, executor, costs, changed, STOP)
    finally:
        STOP.restore()
        executor.close()
    if not keep_all:
        tidying.tidy(ended=code == 0)
    if not console.is_terminal:  # where the table has said it
        console.print(status(sweep, records))
    write_report(sweep, records, out)
    said = [f"report      {out / 'report.html'}", f"compare     tensorboard --logdir {out / 'hparams'}"]
    if (out / BEST).exists():
        said.append(f"the best    python -m seglight fit --config {out / BEST} --run_dir DIR")
    if tidying.freed:
        said.append(f"freed       {tidying.freed / 1e6:.1f} MB of checkpoints (running.keep: all keeps them)")
    said += closing_lines(trials, records)
    console.print("\n".join(said), soft_wrap=True)
    if code == REFUSED:
        raise UserError(
            f"all {sum(record.state == 'failed' for record in records)} trials failed for one reason: "
            f"{coordinator.said}: fix it, then choose another --out, or try other candidates with --resume"
        )
    if code:
        say(f"stopped: go on with sweep --out {out} --resume")
    return code


def executor_for(name: str, sweep: "Sweep", out: Path) -> "Executor":
    """The place where the trials run.

    Raises:
        UserError: It can't be reached, or wants an extra.
    """
    if name == "slurm":
        from seglight.commands.sweep.executors.slurm import SlurmExecutor

        return SlurmExecutor(out / "slurm", sweep.running.slurm)
    if name == "ray":
        from seglight.commands.sweep.executors.ray import RayExecutor

        return RayExecutor(sweep.running.ray)
    from seglight.commands.sweep.executors.local import LocalExecutor, device_slots, visible_devices

    running = sweep.running
    return LocalExecutor(device_slots(running.parallel, running.devices, visible_devices()))
