"""Results of a sweep: the page, the recipe of the best trial, TensorBoard, and significant differences.

Covers: commands.sweep.table.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.api_pb2 import DATA_TYPE_FLOAT64, DATA_TYPE_STRING
from tensorboard.plugins.hparams.metadata import (
    EXPERIMENT_TAG,
    SESSION_START_INFO_TAG,
    parse_experiment_plugin_data,
    parse_session_start_info_plugin_data,
)

from seglight.commands.sweep import table
from seglight.commands.sweep.learning_curve import LearningCurve
from seglight.commands.sweep.record import Record, trial_folder
from seglight.commands.sweep.report import write_hparams, write_report
from seglight.commands.sweep.space import label
from seglight.commands.sweep.trial import objective_values, trial_commands
from seglight.metrics.image_counts import FILE, ImageCounts, ScoredImages
from tests.support.small_sweeps import DISTRIBUTION, record, small_sweep


def write_counts(folder: Path, hits: np.ndarray) -> None:
    """Write counts of two classes with 100 pixels of each in an image, `hits` of which are correct in both."""
    cells = np.tile([0, 1, 2, 3], len(hits))
    counts = np.stack([hits, 100 - hits, 100 - hits, hits], 1).ravel()
    keep = counts > 0
    lengths = keep.reshape(-1, 4).sum(1)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"im{number}" for number in range(len(hits))]
    ScoredImages("val", 1, names, ImageCounts(2, lengths, cells[keep], counts[keep])).save(folder / FILE)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on 60 images: in each, trial 1 has a correct pixel more than trial 0, trial 2 ten more or ten less."""
    tmp_path = tmp_path_factory.mktemp("sweep")
    sweep = small_sweep(trials=5)
    hits = np.random.default_rng(0).integers(30, 80, 60)
    turns = np.where(np.arange(60) % 2, 10, -10)
    records = [
        record(0, 0.5, "finished", 0.50), record(1, 0.3, "finished", 0.52), record(2, 0.4, "finished", 0.51),
        record(3, 0.9, "pruned"), record(4, 0.1, "failed"),
    ]  # fmt: skip
    records[4].error = "exit code 1, 3 times\n<boom>"
    for number, shift in ((0, -1), (1, 0), (2, turns)):
        write_counts(trial_folder(tmp_path / "trials", number), hits + shift)
        (trial_folder(tmp_path / "trials", number) / "config.yaml").write_text(f"x: {number}\n")
    write_report(sweep, records, tmp_path)
    return tmp_path


def test_the_page(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    assert "plotly.js v" in page, "the script is included"
    body = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=", page), "nothing is loaded from elsewhere"
    for title in ("history", "importance", "parallel coordinates", "slices"):
        assert f"<h2>val/miou: {title}</h2>" in body
    assert "3 finished, 1 pruned, 1 failed" in body
    assert "&lt;boom&gt;" in body


def test_names_are_escaped(tmp_path: Path) -> None:
    """Keys of a space, choices and objectives, which contain names of classes, in tables, plots and TensorBoard."""
    odd = "</script><img src=x onerror=alert(1)>\x1b[31m\nb"
    choice = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": [odd, "plain"]}})
    sweep = small_sweep(trials=4)
    sweep.objectives = {f"val/iou/{odd}": "maximize"}
    records = [
        Record(k, {f"x{odd}": k / 4, "c": [odd, "plain"][k % 2]}, {f"x{odd}": DISTRIBUTION, "c": choice}, {},
               "finished", [k / 8], [k / 8])
        for k in range(4)
    ]  # fmt: skip
    for k in range(4):
        trial_folder(tmp_path / "trials", k).mkdir(parents=True)
        (trial_folder(tmp_path / "trials", k) / "config.yaml").write_text("x: 1\n")
    write_report(sweep, records, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<img src=x" not in page.replace("\\u003c", "<").replace("\\u003e", ">")
    assert "&lt;img src=x onerror=alert(1)&gt;\\x1b[31m" in page
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {"x": 1}
    events = EventAccumulator(str(tmp_path / "hparams" / "0001"))
    events.Reload()
    assert any("onerror" in name for name in events.Tags()["scalars"])


def test_which_trials_are_different_from_the_first(reported: Path) -> None:
    """One pixel in every image is a significant difference; ten that alternate in sign are not."""
    page = (reported / "report.html").read_text()
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    assert [row[0] for row in cells[1:4]] == ["0001", "0002", "0000"]
    assert [row[3] for row in cells[1:4]] == ["-", "no", "yes"]


def test_the_best_recipe_and_tensorboard(reported: Path) -> None:
    text = (reported / "best.yaml").read_text()
    assert text.startswith("# Trial 0001: val/miou 0.52\n")
    assert yaml.safe_load(text) == {"x": 1}
    runs = sorted(path.name for path in (reported / "hparams").glob("0*"))
    assert runs == ["0000", "0001", "0002", "0003"]
    events = EventAccumulator(str(reported / "hparams" / "0001"))
    events.Reload()
    assert [event.value for event in events.Scalars("objective/val/miou")] == pytest.approx([0.52])


def test_tensorboard_has_a_column_for_each_key(tmp_path: Path) -> None:
    """As TensorBoard reads them: also for keys that exist only with one choice, and choices of several types."""
    space = {"x": {"range": [0.0, 1.0]}, "c": {"choice": [None, 8]}, "y": {"log": [1.0, 9.0], "when": {"c": 8}}}
    sweep = small_sweep(space=space)
    records = [
        Record(0, {"x": 0.5, "c": None}, {}, {}, "finished", [], [0.4]),
        Record(1, {"x": 0.1, "c": 8, "y": 3.0}, {}, {}, "finished", [], [0.6]),
        Record(2, {"x": 0.2, "c": 8, "y": 2.0}, {}, {}, "pruned", [0.2], None),
    ]
    write_hparams(sweep, records, tmp_path)
    for number in range(3):
        run = EventAccumulator(str(tmp_path / f"{number:04d}"))
        run.Reload()
        tags = run.SummaryMetadata
        columns = parse_experiment_plugin_data(tags(EXPERIMENT_TAG).plugin_data.content)
        assert {one.name: one.type for one in columns.hparam_infos} == {
            "x": DATA_TYPE_FLOAT64, "c": DATA_TYPE_STRING, "y": DATA_TYPE_FLOAT64,
        }  # fmt: skip
        own = parse_session_start_info_plugin_data(tags(SESSION_START_INFO_TAG).plugin_data.content).hparams
        values = {key: getattr(value, value.WhichOneof("kind")) for key, value in own.items()}
        assert values == {key: str(v) if key == "c" else v for key, v in records[number].params.items()}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00123456, "0.001235"),
        (16, "16"),
        (label({"class_path": "seglight.models.decoders.FPN"}), "FPN"),
        (label({"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}), 'SGD {"lr": 0.1}'),
        (label([0.5, 2.0]), "[0.5, 2.0]"),
        ("configs/model/fpn_resnet50.yaml", "configs/model/fpn_resnet50.yaml"),
    ],
)
def test_values_are_shortened(value: object, shown: str) -> None:
    assert table.format_value(value) == shown


def test_a_report_without_finished_trials(tmp_path: Path) -> None:
    write_report(small_sweep(), [record(0, 0.5, "failed")], tmp_path)
    assert "No trial is finished" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "best.yaml").exists()


def test_the_front_of_several_objectives(tmp_path: Path) -> None:
    sweep = small_sweep(objectives={"val/miou": "maximize", "latency": "minimize"})
    records = [record(number, 0.1 * number, "finished", 0.5) for number in range(3)]
    for one, values in zip(records, ([0.5, 1.0], [0.6, 2.0], [0.4, 3.0]), strict=True):
        one.values = values
        folder = trial_folder(tmp_path / "trials", one.number)
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("a: 1\n")
    write_report(sweep, records, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "The Pareto front" in page
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert [row[0] for row in rows if row and row[0].isdigit()] == ["0001", "0000"]


def test_the_mean_of_several_seeds(tmp_path: Path) -> None:
    """Each seed has a folder of `fit --seeds`; the pruner uses the first."""
    sweep = small_sweep(running={"seeds": [3, 5]}, objectives={"val/miou": "maximize", "val/acc": "maximize"})
    ((words, _),) = trial_commands(sweep, tmp_path, ["seglight"])
    config = str(tmp_path / "config.yaml")
    assert words == [
        "seglight", "fit", "--run_dir", str(tmp_path), "--resume", "--config", config, "--seeds", "3,5",
    ]  # fmt: skip
    for seed, miou in ((3, 0.4), (5, 0.5)):
        run = tmp_path / f"seed_{seed}"
        run.mkdir()
        (run / "scores.json").write_text(json.dumps({"miou": miou}))
        logged: list[dict[str, float]] = [
            {"step": 1, "epoch": 0, "val/miou": 0.1, "val/acc": 0.0},
            {"step": 2, "epoch": 1, "val/miou": miou, "val/acc": 2 * miou},
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged) + '{"step": 3, "va')
    assert objective_values(sweep, tmp_path) == pytest.approx([0.45, 0.9])
    assert [report.value for report in LearningCurve(sweep, tmp_path).reports()] == [0.1, 0.4]
    (tmp_path / "seed_5" / "scores.json").unlink()
    assert "ended without val/miou" in str(objective_values(sweep, tmp_path))
