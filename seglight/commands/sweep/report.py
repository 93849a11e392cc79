"""Results of a sweep: `report.html`, the recipe of the best trial, and the trials in TensorBoard."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna import visualization
from optuna.trial import FrozenTrial
from plotly.io import to_html
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from seglight.commands.sweep.failures import failure_summary
from seglight.commands.sweep.options import Sweep
from seglight.commands.sweep.overrides import text_of
from seglight.commands.sweep.record import Record, trial_folder
from seglight.commands.sweep.study import best_records, study_of
from seglight.commands.sweep.table import format_value, status
from seglight.commands.sweep.trial import LATENCY, run_folders
from seglight.errors import UserError, terminal
from seglight.metrics.comparison import MIOU, difference, estimates, interval
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.metrics.jackknife import Estimates
from seglight.system.atomic import atomic_write
from seglight.system.escaping import html, plotly, tag
from seglight.system.run_files import RECIPE_FILE

SHOWN = 10
"""Number of rows in the table of the best trials."""

BEST = "best.yaml"
"""File in the folder of the sweep with the recipe of the best trial."""

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{font-family: sans-serif; margin: 2em}} td, th {{padding: .2em .8em; text-align: left}}
pre {{background: #eee; padding: .5em}}</style></head>
<body><h1>{title}</h1><p>{status}</p>{body}</body></html>
"""

NOTE = (
    "Intervals: 95 % of the mIoU over the choice of the validation images, as in `seglight compare`. Different from "
    "the first: the 95 % interval of the difference from the first trial, on the same images, does not contain 0. With "
    "several seeds a trial, the variation between trainings is included; with one it is not."
)

LATENCY_NOTE = (
    "Latency: seconds for a 512x512 image, the median of five passes, measured one net at a time after all trainings of"
    " the sweep had ended; in a sweep that is not complete, measured when each training ended, while others ran."
)


def write_report(sweep: Sweep, records: Sequence[Record], out: Path) -> None:
    """Write `report.html`, which needs no network; `best.yaml`, if a trial is finished; and `hparams/`.

    Args:
        sweep: Description of the sweep.
        records: Records of its trials.
        out: Folder of the sweep.
    """
    body = "".join(
        [_overrides(sweep), _best(sweep, records, out / "trials"), *_plots(sweep, records), _failures(records)]
    )
    title = html(f"Sweep {out.name}")
    atomic_write(out / "report.html", PAGE.format(title=title, status=html(status(sweep, records)), body=body))
    best = best_records(sweep, records)
    if best:
        values = zip(sweep.objectives, best[0].values or [], strict=True)
        scores = "  ".join(f"{name} {format_value(value)}" for name, value in values)
        recipe = (trial_folder(out / "trials", best[0].number) / RECIPE_FILE).read_text(encoding="utf-8")
        atomic_write(out / BEST, f"# Trial {best[0].number:04d}: {terminal(scores)}\n{recipe}")
    write_hparams(sweep, records, out / "hparams")


def closing_lines(out: Path, records: Sequence[Record], freed: int) -> list[str]:
    """Last lines of the command's output: where the results are, and why trials failed.

    Args:
        out: Folder of the sweep.
        records: Records of its trials.
        freed: Bytes of checkpoints that were removed.
    """
    lines = [f"report      {out / 'report.html'}", f"compare     tensorboard --logdir {out / 'hparams'}"]
    if (out / BEST).exists():
        lines.append(f"best        seglight fit --config {out / BEST} --run_dir DIR")
    if freed:
        lines.append(f"freed       {freed / 1e6:.1f} MB of checkpoints (running.keep: all keeps them)")
    return lines + failure_summary(out / "trials", records)


def trial_estimates(sweep: Sweep, folder: Path) -> tuple[list[str], Estimates] | None:
    """Names of a trial's images, and the scores of its trainings on them, as `seglight compare` computes them.

    Returns:
        Names and estimates, or None if the trial has no counts per image.
    """
    try:
        scored = [ScoredImages.load(run / FILE) for run in run_folders(sweep, folder)]
    except UserError:
        return None
    images = np.arange(len(scored[0].names))
    return scored[0].names, estimates([one.counts.by_class() for one in scored], images)


def differ(one: tuple[list[str], Estimates], other: tuple[list[str], Estimates]) -> bool | None:
    """Whether the difference between two trials is significant; None if their images are not the same."""
    if one[0] != other[0]:
        return None
    found = difference(one[1], other[1])
    low, high = found.low[MIOU], found.high[MIOU]
    return None if np.isnan(low + high) else not low <= 0 <= high


def _best(sweep: Sweep, records: Sequence[Record], trials: Path) -> str:
    best = best_records(sweep, records)[:SHOWN]
    if not best:
        return "<p>No trial is finished.</p>"
    found = [trial_estimates(sweep, trial_folder(trials, record.number)) for record in best]
    rows = [["trial", *sweep.objectives, "mIoU, 95 %", "different from the first", "candidate"]]
    for record, own in zip(best, found, strict=True):
        different = None if own is None or found[0] is None or own is found[0] else differ(own, found[0])
        candidate = ", ".join(f"{key}={format_value(value)}" for key, value in record.params.items())
        answer = {None: "-", True: "yes", False: "no"}[different]
        rows.append([f"{record.number:04d}", *map(format_value, record.values or []), _span(own), answer, candidate])
    name = "The best" if len(sweep.objectives) == 1 else "The Pareto front"
    notes = [NOTE, *([LATENCY_NOTE] if LATENCY in sweep.objectives else [])]
    return f"<h2>{name}</h2>{_table(rows)}" + "".join(f"<p>{note}</p>" for note in notes)


def _span(own: tuple[list[str], Estimates] | None) -> str:
    """The interval of a trial's mIoU."""
    if own is None:
        return "-"
    low, high = (ends[MIOU] for ends in interval(own[1]))
    return "-" if np.isnan(low + high) else f"[{low:.4f}, {high:.4f}]"


def _table(rows: list[list[str]]) -> str:
    cells = [[f"<td>{html(cell)}</td>" for cell in row] for row in rows]
    cells[0] = [cell.replace("td>", "th>") for cell in cells[0]]
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in cells) + "</table>"


def _plots(sweep: Sweep, records: Sequence[Record]) -> Iterator[str]:
    """Optuna's plots; the first one includes plotly's script."""
    if sum(record.state == "finished" for record in records) < 2:
        yield "<p>The plots appear when two trials are finished.</p>"
        return
    script: Any = True
    for title, figure in _figures(sweep, study_of(sweep, records)):
        yield f"<h2>{html(title)}</h2>" + to_html(
            _escaped(figure.to_plotly_json()), full_html=False, include_plotlyjs=script
        )
        script = False


def _escaped(figure: Any) -> Any:
    """A copy of a figure's nested values with escaped texts."""
    if isinstance(figure, dict):
        return {key: _escaped(value) for key, value in figure.items()}
    if isinstance(figure, list | tuple):
        return [_escaped(value) for value in figure]
    return plotly(figure) if isinstance(figure, str) else figure


def _figures(sweep: Sweep, study: optuna.Study) -> Iterator[tuple[str, Any]]:
    several = len(sweep.objectives) > 1
    if 1 < len(sweep.objectives) < 4:
        yield "Pareto front", visualization.plot_pareto_front(study, target_names=list(sweep.objectives))
    plots: dict[str, Callable[..., Any]] = {
        "history": visualization.plot_optimization_history,
        "importance": visualization.plot_param_importances,
        "parallel coordinates": visualization.plot_parallel_coordinate,
        "slices": visualization.plot_slice,
    }
    for index, objective in enumerate(sweep.objectives):
        target = partial(_value, index) if several else None
        for name, plot in plots.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    figure = plot(study, target=target, target_name=objective)
            except (ValueError, RuntimeError):
                continue  # importances need scores that differ
            yield f"{objective}: {name}", figure


def _value(index: int, trial: FrozenTrial) -> float:
    value: float = trial.values[index]
    return value


def _overrides(sweep: Sweep) -> str:
    given = text_of(sweep.overrides)
    return f"<p>Given on the command line, for every trial: <code>{html(given)}</code></p>" if given else ""


def _failures(records: Sequence[Record]) -> str:
    failed = [record for record in records if record.state == "failed"]
    texts = [f"<h3>Trial {record.number:04d}</h3><pre>{html(record.error)}</pre>" for record in failed]
    return "<h2>Failed</h2>" + "".join(texts) if failed else ""


def write_hparams(sweep: Sweep, records: Sequence[Record], folder: Path) -> None:
    """Write a TensorBoard run for each trial with only the searched keys; `trials/` has whole recipes and curves."""
    shutil.rmtree(folder, ignore_errors=True)
    params = [_shown_params(sweep, record) for record in records]
    every = {key: value for one in params for key, value in one.items()}
    # TensorBoard reads the columns from the first run that it finds, which may lack keys that depend on a choice
    names = {f"objective/{tag(name)}": 0.0 for name in sweep.objectives}
    columns = hparams(every, names)[0]  # type: ignore[no-untyped-call]
    for record, own in zip(records, params, strict=True):
        values = record.values or (record.reports[-1:] if record.state == "pruned" else [])
        scores = {f"objective/{tag(n)}": value for n, value in zip(sweep.objectives, values, strict=False)}
        if not scores:
            continue
        with SummaryWriter(str(folder / f"{record.number:04d}")) as writer:
            start, end = hparams(own, scores)[1:]  # type: ignore[no-untyped-call]
            for summary in (columns, start, end):
                writer.file_writer.add_summary(summary)
            for name, value in scores.items():
                writer.add_scalar(name, value)


def _shown_params(sweep: Sweep, record: Record) -> dict[str, float | str]:
    """Values by key, each key with one type in all trials, as a column requires it."""
    numbers = {p.key for p in sweep.parameters if all(type(value) in (int, float) for value in p.values)}
    return {tag(key): value if key in numbers else tag(str(value)) for key, value in record.params.items()}
