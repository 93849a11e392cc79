"""The user's mistakes end in one line that says what and where, with exit code 2, and leave no ruins.

Covers: commands.fit.cli.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from seglight.__main__ import main
from tests.support import fabricate
from tests.support.bad_input import CLI, DECODER, ENCODER, NET, complaint, recipe

WORKERS = pytest.mark.parametrize("num_workers", [0, 1])
FIRST = "0001TP_000000.png"


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return fabricate.camvid(tmp_path / "CamVid", train=2, val=1, test=1)


@pytest.fixture
def config(tmp_path: Path, camvid: Path) -> Path:
    return recipe(tmp_path / "recipe.yaml", "CamVidDataModule", root=str(camvid))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run on CamVid's eleven classes."""
    folder = tmp_path_factory.mktemp("trained")
    root = fabricate.camvid(folder / "CamVid", train=2, val=1)
    config = recipe(folder / "recipe.yaml", "CamVidDataModule", root=str(root))
    assert main(["fit", "-c", str(config), "--run_dir", str(folder / "run")]) == 0
    return folder / "run" / "checkpoints" / "last.ckpt"


def ruins(run_dir: Path) -> list[Path]:
    """What a run that failed must not leave: half-written files, and what keeps the folder from being used again."""
    return [path for path in run_dir.rglob("*") if ".part" in path.name or path.suffix == ".ckpt"]


@pytest.fixture
def fit(seglight_cli: CLI, tmp_path: Path) -> Callable[..., str]:
    """Run a fit that must fail; gives what it says."""

    def run(config: Path, *more: object) -> str:
        message = complaint(seglight_cli("fit", "-c", config, "--run_dir", tmp_path / "run", *more))
        assert ruins(tmp_path / "run") == []
        return message

    return run


Fit = Callable[..., str]


# ------------------------------------------------------------------------------------------------------ the data


def test_missing_root(fit: Fit, tmp_path: Path, config: Path) -> None:
    message = fit(config, "--data.init_args.root", tmp_path / "elsewhere")
    assert message == f"{tmp_path}/elsewhere: no such folder: set data.root to the right place"


def test_empty_split(fit: Fit, camvid: Path, config: Path) -> None:
    (camvid / "val" / FIRST).unlink()
    assert fit(config).startswith(f"{camvid}/val: no image there")


def test_image_without_mask(fit: Fit, camvid: Path, config: Path) -> None:
    (camvid / "trainannot" / FIRST).unlink()
    told = f"{camvid}/train/{FIRST}: its mask {camvid}/trainannot/{FIRST} is missing: add it, or remove the other file"
    assert fit(config) == told


def test_classes_yaml_that_is_missing(fit: Fit, tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "pets")
    (root / "classes.yaml").unlink()
    message = fit(recipe(tmp_path / "pets.yaml", "FolderDataModule", root=str(root)))
    assert message.startswith(f"{root}/classes.yaml: no such file: it names the classes")
    assert not (tmp_path / "run").exists()


@WORKERS
def test_mask_of_another_size(fit: Fit, camvid: Path, config: Path, num_workers: int) -> None:
    fabricate.save_mask(camvid / "trainannot" / FIRST, np.zeros((48, 36), np.uint8))
    message = fit(config, "--data.init_args.num_workers", num_workers)
    assert message.startswith(f"{camvid}/train/{FIRST}: the image is 36x48 and its mask 48x36 (height x width)")


def test_a_mistake_found_before_training_names_the_command_that_reads_everything(
    fit: Fit, camvid: Path, config: Path
) -> None:
    (camvid / "train" / FIRST).write_bytes(b"")
    message = fit(config, "--data.init_args.batch_size=2", "--data.init_args.root", camvid)
    see = f"seglight doctor -c {config} --data.init_args.batch_size=2 --data.init_args.root {camvid}"
    assert message.endswith(f"(`{see}` reads every file)")


@WORKERS
def test_label_value_outside_the_table(fit: Fit, camvid: Path, config: Path, num_workers: int) -> None:
    mask = np.zeros((36, 48), np.uint8)
    mask[0, :5], mask[1, :2] = 12, 200
    fabricate.save_mask(camvid / "trainannot" / FIRST, mask)
    message = fit(config, "--data.init_args.num_workers", num_workers)
    told = f"{camvid}/trainannot/{FIRST}: label value 12 (5 pixels), 200 (2 pixels) is not in the class table (0-11): "
    assert message.startswith(told)


@WORKERS
def test_colour_mask(fit: Fit, camvid: Path, config: Path, num_workers: int) -> None:
    fabricate.save_image(camvid / "trainannot" / FIRST, np.random.default_rng(0), (36, 48))
    message = fit(config, "--data.init_args.num_workers", num_workers)
    assert message.startswith(f"{camvid}/trainannot/{FIRST}: the mask is a colour image (mode RGB)")


@WORKERS
@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_truncated_file(fit: Fit, camvid: Path, config: Path, folder: str, num_workers: int) -> None:
    path = camvid / folder / FIRST
    path.write_bytes(path.read_bytes()[:-40])
    message = fit(config, "--data.init_args.num_workers", num_workers)
    assert message.startswith(f"{path}: not readable as an image (")
    assert "the file is cut off or damaged, fetch it again" in message


def test_the_message_is_the_same_from_a_worker(fit: Fit, camvid: Path, config: Path) -> None:
    path = camvid / "train" / FIRST
    path.write_bytes(path.read_bytes()[:-40])  # its header is whole, so that it is not found before the loader
    first, second = (fit(config, "--data.init_args.num_workers", workers) for workers in (0, 1))
    assert first == second


def test_error_in_evaluation(seglight_cli: CLI, checkpoint: Path, camvid: Path, config: Path, tmp_path: Path) -> None:
    fabricate.save_mask(camvid / "valannot" / FIRST, np.full((36, 48), 77, np.uint8))
    arguments = ("-c", config, "--ckpt_path", checkpoint, "--run_dir", tmp_path / "run")
    message = complaint(seglight_cli("validate", *arguments))
    assert message.startswith(f"{camvid}/valannot/{FIRST}: label value 77 (1728 pixels) is not")
    assert not (tmp_path / "run" / "scores.json").exists()


def test_crop_larger_than_every_image_pads(seglight_cli: CLI, config: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    ran = seglight_cli("fit", "-c", config, "--run_dir", run_dir, "--data.init_args.augmentation.crop_size", 128)
    assert ran.rc == 0
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()


def test_a_failed_run_can_be_run_again(seglight_cli: CLI, fit: Fit, camvid: Path, config: Path, tmp_path: Path) -> None:
    mask = camvid / "trainannot" / FIRST
    good = mask.read_bytes()
    mask.write_bytes(good[:-40])
    fit(config)
    mask.write_bytes(good)
    assert seglight_cli("fit", "-c", config, "--run_dir", tmp_path / "run").rc == 0


# ---------------------------------------------------------------------------------------------------- the recipe


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model.nett", "3"], r"model\.nett|nett"),
        (["--model.optimizer.init_args.lrr", "3"], r"optimizer.*lrr"),
        (["--data.init_args.batchsize", "3"], r"data.*batchsize"),
        (["--data.init_args.batch_size", "many"], r"data.*batch_size.*many"),
        (["--model.optimizer", "torch.optim.Adamm"], r"model\.optimizer.*torch\.optim\.Adamm"),
        (
            ["--model.net.init_args.decoder", "seglight.models.decoders.Foo"],
            r"net.*decoder.*seglight\.models.decoders\.Foo",
        ),
        (
            ["--model.net.init_args.encoder.init_args.name", "resnet5000"],
            r"encoder\.name 'resnet5000' is no timm model",
        ),
        (["--data.init_args.augmentation.crop_size", "0"], r"crop_size 0 .* must be positive"),
    ],
)
def test_fault_on_the_command_line(fit: Fit, config: Path, tmp_path: Path, arguments: list[str], told: str) -> None:
    assert re.search(told, fit(config, *arguments))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("model.nett", 3, r"nett"),
        ("model.net.init_args.encoderr", 3, r"model\.net\b.*encoderr"),
        (
            "model.net.init_args.decoder.class_path",
            "seglight.models.decoders.Foo",
            r"model\.net\.decoder: .*decoders.*Foo",
        ),
        ("model.loss", {"class_path": "seglight.losses.Nowhere"}, r"model\.loss: .*losses.*Nowhere"),
        ("data.class_path", "seglight.data.NowhereDataModule", r"data\b.*NowhereDataModule"),
        ("trainer.max_epoch", 3, r"max_epoch\b"),
    ],
)
def test_fault_in_the_yaml(fit: Fit, config: Path, tmp_path: Path, key: str, value: Any, told: str) -> None:
    content = yaml.safe_load(config.read_text())
    *parents, last = key.split(".")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    config.write_text(yaml.safe_dump(content))
    assert re.search(told, fit(config))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("form", [("-c", "{}"), ("--config", "{}"), ("--config={}",)])
def test_missing_config(seglight_cli: CLI, tmp_path: Path, form: tuple[str, ...]) -> None:
    path = tmp_path / "nowhere.yaml"
    message = complaint(seglight_cli("fit", *(part.format(path) for part in form)))
    assert str(path) in message
    assert re.search("No such file|does not exist|no such file|not accessible", message)


@pytest.mark.parametrize("content", [b"a: [", b"\x89PNG\r\n\xff", b"\tmodel: 1"])
def test_config_that_is_not_yaml(fit: Fit, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    assert fit(path).startswith(f"--config {path}: the file is not valid YAML: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["- a\n- b\n", "just text\n"])
def test_config_that_is_no_recipe(fit: Fit, tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(content)
    assert str(path) in fit(path)


def test_unknown_command(seglight_cli: CLI) -> None:
    assert complaint(seglight_cli("fitt")).startswith("unknown command 'fitt': did you mean fit? Use one of ")
    assert complaint(seglight_cli("qqqq")).startswith("unknown command 'qqqq': use one of ")


def test_nothing_said_at_all(seglight_cli: CLI) -> None:
    assert "no recipe is given: add -c RECIPE" in complaint(seglight_cli("fit"))


def test_debug_shows_the_traceback(config: Path, camvid: Path, tmp_path: Path) -> None:
    from seglight.errors import UserError

    (camvid / "val" / FIRST).unlink()
    with pytest.raises(UserError, match=f"^{camvid}/val: no image there"):
        main(["fit", "-c", str(config), "--run_dir", str(tmp_path / "run"), "--debug"])


# -------------------------------------------------------------------------------------------------- the checkpoint


class Touch:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def use(cli: CLI, command: str, checkpoint: Path, config: Path, tmp_path: Path) -> str:
    """Give a bad checkpoint to a command; gives what it says."""
    out = tmp_path / "out"
    arguments = {
        "validate": ("validate", "-c", config, "--ckpt_path", checkpoint, "--run_dir", out),
        "warm start": ("fit", "-c", config, "--model.weights", checkpoint, "--run_dir", out),
        "predict": ("predict", checkpoint, tmp_path / "CamVid" / "val", "--out", out),
    }
    message = complaint(cli(*arguments[command]))
    assert not out.exists(), "nothing is written before the checkpoint is read"
    return message


READERS = pytest.mark.parametrize("command", ["validate", "warm start", "predict"])


@READERS
def test_missing_checkpoint(seglight_cli: CLI, command: str, config: Path, tmp_path: Path) -> None:
    path = tmp_path / "nowhere.ckpt"
    assert use(seglight_cli, command, path, config, tmp_path).endswith(f"{path}: no such checkpoint")


@READERS
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_checkpoint_cut_off(
    seglight_cli: CLI, command: str, share: float, checkpoint: Path, config: Path, tmp_path: Path
) -> None:
    path, whole = tmp_path / "cut.ckpt", checkpoint.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = use(seglight_cli, command, path, config, tmp_path)
    assert f"{path}: " in message
    assert re.search("cut off or damaged|refused, no checkpoint", message)


@READERS
@pytest.mark.parametrize("zipped", [True, False])
def test_unsafe_checkpoint_runs_nothing(
    seglight_cli: CLI, command: str, zipped: bool, config: Path, tmp_path: Path
) -> None:
    path, trap = tmp_path / "unsafe.ckpt", tmp_path / "trap"
    torch.save({"state_dict": {}, "seglight": Touch(trap)}, path, _use_new_zipfile_serialization=zipped)
    message = use(seglight_cli, command, path, config, tmp_path)
    assert not trap.exists()
    assert f"{path}: refused, no checkpoint or one with more than weights in it" in message
    torch.load(path, weights_only=False)
    assert trap.exists(), "it was a trap indeed"


@READERS
@pytest.mark.parametrize("content", [{"state_dict": {}}, {"seglight": {}}, [1, 2], torch.zeros(2)])
def test_checkpoint_of_somebody_else(
    seglight_cli: CLI, command: str, content: Any, config: Path, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "foreign.ckpt")
    message = use(seglight_cli, command, tmp_path / "foreign.ckpt", config, tmp_path)
    assert message.endswith(f"{tmp_path}/foreign.ckpt: not a checkpoint of `seglight fit`")


def with_card(checkpoint: Path, path: Path, **changes: Any) -> Path:
    """A copy of a checkpoint that says something else of itself."""
    content = torch.load(checkpoint, weights_only=True)
    content["seglight"] = {**content["seglight"], **changes}
    torch.save(content, path)
    return path


@pytest.mark.parametrize("command", ["validate", "predict"])
@pytest.mark.parametrize("card", [{}, None, "seglight"])
def test_checkpoint_with_a_card_of_another_form(
    seglight_cli: CLI, command: str, card: Any, config: Path, tmp_path: Path
) -> None:
    torch.save({"state_dict": {}, "seglight": card}, tmp_path / "odd.ckpt")
    message = use(seglight_cli, command, tmp_path / "odd.ckpt", config, tmp_path)
    assert message.startswith(f"{tmp_path}/odd.ckpt: ")


def test_checkpoint_of_other_classes(seglight_cli: CLI, checkpoint: Path, tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "pets")
    config = recipe(tmp_path / "pets.yaml", "FolderDataModule", root=str(root))
    message = use(seglight_cli, "validate", checkpoint, config, tmp_path)
    assert message.startswith(
        f"{checkpoint}: a net for 11 classes (sky, building, pole, ...), the data has 3 (ground, cat"
    )
    assert message.endswith("use model.weights to start from it on other classes")


@pytest.mark.parametrize(
    ("net", "named"),
    [
        ({"class_path": "notours.Net", "init_args": {}}, "notours.Net"),
        ({**NET, "init_args": {"encoder": {"class_path": "notours.Encoder"}, "decoder": DECODER}}, "notours.Encoder"),
        ({"class_path": "notours_anywhere.Net"}, "notours_anywhere.Net"),
        ({**NET, "init_args": {"encoder": "notours.Encoder", "decoder": DECODER}}, "notours.Encoder"),
        ({**NET, "init_args": {"encoder": ENCODER, "decoder": "notours.Decoder"}}, "notours.Decoder"),
    ],
)
def test_checkpoint_that_names_a_class_not_trusted(
    seglight_cli: CLI,
    checkpoint: Path,
    net: Any,
    named: str,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "notours.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'trap')!r})\nclass Net: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = with_card(checkpoint, tmp_path / "odd.ckpt", net=net)
    message = use(seglight_cli, "predict", path, config, tmp_path)
    assert not (tmp_path / "trap").exists(), "the module was imported"
    assert message.startswith(f"{path}: refused, it names the class {named}: if you trust that package, add --trust")


def test_checkpoint_that_names_a_function_runs_nothing(
    seglight_cli: CLI, checkpoint: Path, config: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    path = with_card(checkpoint, tmp_path / "odd.ckpt", net="os.mkdir", num_classes=str(trap))
    message = use(seglight_cli, "predict", path, config, tmp_path)
    assert not trap.exists()
    assert message == f"{path}: not a checkpoint of `seglight fit`: `net` of its model card is missing or not valid"


@pytest.mark.parametrize(
    ("class_path", "told"),
    [
        ("torch.nowhere.Net", "it names the class torch.nowhere.Net, which is not installed here"),
        ("seglight.models.Nowhere", "it names the class seglight.models.Nowhere, which is not installed here"),
        ("torch", "it names the class torch, which is not installed here"),
        ("torch.hub.load", "refused, it names torch.hub.load, which is no part of a net"),
        ("torch.optim.AdamW", "refused, it names torch.optim.AdamW, which is no part of a net"),
    ],
)
def test_checkpoint_that_names_no_net(
    seglight_cli: CLI, checkpoint: Path, class_path: str, told: str, config: Path, tmp_path: Path
) -> None:
    path = with_card(checkpoint, tmp_path / "odd.ckpt", net={"class_path": class_path, "init_args": {}})
    assert use(seglight_cli, "predict", path, config, tmp_path) == f"{path}: {told}"


@pytest.mark.parametrize(
    "changes",
    [
        {"num_classes": 5},
        {"net": {**NET, "init_args": {**NET["init_args"], "decoder": {"class_path": "seglight.models.decoders.UNet"}}}},
        {"net": {**NET, "init_args": {**NET["init_args"], "strange": 1}}},
    ],
)
def test_checkpoint_whose_weights_do_not_fit_its_card(
    seglight_cli: CLI, checkpoint: Path, changes: dict[str, Any], config: Path, tmp_path: Path
) -> None:
    path = with_card(checkpoint, tmp_path / "odd.ckpt", **changes)
    assert use(seglight_cli, "predict", path, config, tmp_path).startswith(f"{path}: ")


# --------------------------------------------------------------------------------------------- the encoder's weights


@pytest.fixture
def weights_of(fit: Fit, config: Path, tmp_path: Path) -> Callable[[object], str]:
    def run(weights: object) -> str:
        message = fit(config, "--model.net.init_args.encoder.init_args.weights", weights)
        assert not (tmp_path / "run").exists()
        return message

    return run


def test_missing_weights_file(weights_of: Callable[[object], str], tmp_path: Path) -> None:
    path = tmp_path / "nowhere.safetensors"
    assert weights_of(path).startswith(f"encoder weights '{path}': no such file; 'hub', 'offline' and 'random' are")


def test_weights_file_of_another_model(weights_of: Callable[[object], str], tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"conv.weight": torch.zeros(3, 3)}, path)
    assert weights_of(path).startswith(f"{path}: of ")
    assert weights_of(path).endswith("tensors of 'test_resnet' only 0 are in it: another model's")


@pytest.mark.parametrize("kind", ["no weights", "unsafe"])
def test_weights_file_that_can_not_be_read(weights_of: Callable[[object], str], kind: str, tmp_path: Path) -> None:
    path, trap = tmp_path / "weights.pth", tmp_path / "trap"
    if kind == "no weights":
        path.write_bytes(b"<html>404</html>")
    else:
        torch.save({"conv.weight": Touch(trap)}, path)
    assert weights_of(path).startswith(f"{path}: no weights of 'test_resnet' that can be read safely: ")
    assert not trap.exists()


def test_offline_weights_are_of_one_model(weights_of: Callable[[object], str]) -> None:
    assert weights_of("offline") == "encoder weights 'offline' are those of tf_efficientnet_lite0, not of 'test_resnet'"


def test_hub_out_of_reach(weights_of: Callable[[object], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9"  # nobody listens there
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", closed)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", closed + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    naps: list[float] = []
    monkeypatch.setattr("time.sleep", naps.append)
    message = weights_of("hub")
    assert message.startswith("encoder weights of 'test_resnet' are not available from the hub (")
    assert "weights: FILE.safetensors" in message
    assert "tf_efficientnet_lite0 with weights: offline" in message
    assert sum(naps) < 10, f"{sum(naps)} seconds of waiting between tries"


# ----------------------------------------------------------------------------------------------- what to predict


def test_images_to_predict(seglight_cli: CLI, checkpoint: Path, tmp_path: Path, camvid: Path) -> None:
    def says(*inputs: Path) -> str:
        return complaint(seglight_cli("predict", checkpoint, *inputs, "--out", tmp_path / "out", "--device", "cpu"))

    (tmp_path / "empty").mkdir()
    assert says(tmp_path / "nowhere.png") == f"{tmp_path}/nowhere.png: no such image or folder: check the path"
    assert says(tmp_path / "empty").startswith(f"{tmp_path}/empty: no image or video in this folder")
    assert says(camvid / "val", camvid / "test").endswith("predict them into two folders")
    assert not (tmp_path / "out").exists()


def test_damaged_image_to_predict(seglight_cli: CLI, checkpoint: Path, tmp_path: Path, camvid: Path) -> None:
    path = camvid / "train" / "0001TP_000030.png"
    path.write_bytes(path.read_bytes()[:-40])
    ran = seglight_cli("predict", checkpoint, camvid / "train", "--out", tmp_path / "out")
    assert ran.rc == 1
    assert ran.err.startswith(f"seglight: failed: {path}: not readable as an image (")
    assert len(ran.err.splitlines()) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FIRST], "whole label maps alone"
    with Image.open(tmp_path / "out" / FIRST) as image:
        assert image.size == (48, 36)


def test_unknown_device(seglight_cli: CLI, checkpoint: Path, tmp_path: Path, camvid: Path) -> None:
    ran = seglight_cli("predict", checkpoint, camvid / "val", "--out", tmp_path / "out", "--device", "tpux")
    assert "tpux" in complaint(ran)


@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_score_without_a_recipe(command: str, tmp_path: Path, seglight_cli: CLI) -> None:
    ran = seglight_cli(command, "--ckpt_path", tmp_path / "a.ckpt")
    assert (ran.rc, ran.out) == (2, "")
    remedy = "add --config RUN/config.yaml, the recipe of the run"
    assert ran.err == f"seglight: error: {command}: no recipe is given: {remedy}\n"
