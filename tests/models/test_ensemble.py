"""Ensembles and stacks against means written in numpy, and as nets like any other from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from scipy.special import log_softmax, softmax
from torch import Tensor, nn

from seglight.__main__ import main
from seglight.checkpoints.checkpoint import load_net
from seglight.commands.export.graph import Deployed, program_of
from seglight.errors import UserError
from seglight.inference import WholeImage
from seglight.interfaces import SegOutput
from seglight.models import Ensemble, Stacking
from seglight.optim import ParameterGroups
from tests.support import fabricate
from tests.support.tiny import TinyNet

CLASSES, IMAGE = 5, torch.zeros(2, 3, 32, 48, dtype=torch.uint8)


class Fixed(nn.Module):
    """Gives the same logits whatever it sees."""

    def __init__(self, stride: int, seed: int, scale: float = 3.0) -> None:
        super().__init__()
        size = (2, CLASSES, 32 // stride, 48 // stride)
        self.logits = nn.Parameter(scale * torch.randn(size, generator=torch.Generator().manual_seed(seed)))

    def forward(self, image: Tensor) -> SegOutput:
        return SegOutput(self.logits, (self.logits,) if self.training else ())


def fixed(*strides: int) -> list[Callable[[int], nn.Module]]:
    return [lambda _, stride=stride, seed=seed: Fixed(stride, seed) for seed, stride in enumerate(strides)]


def logits_of(strides: tuple[int, ...], size: tuple[int, int]) -> list[np.ndarray]:
    """The members' logits at one size, by torch's own interpolation."""
    members = (Fixed(stride, seed).logits.detach().double() for seed, stride in enumerate(strides))
    return [F.interpolate(member, size, mode="bilinear", align_corners=False).numpy() for member in members]


@pytest.mark.parametrize("strides", [(1, 1, 1), (4, 4), (4, 16, 8)], ids=str)
@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5)])
def test_mean_of_probabilities(strides: tuple[int, ...], weights: tuple[float, ...] | None) -> None:
    weights = weights and weights[: len(strides)]
    out = Ensemble(CLASSES, fixed(*strides), weights)(IMAGE).logits.detach()
    finest = min(strides)
    probabilities = [softmax(member, 1) for member in logits_of(strides, (32 // finest, 48 // finest))]
    expected = np.average(probabilities, axis=0, weights=weights)
    np.testing.assert_allclose(out.softmax(1), expected, atol=1e-6)
    np.testing.assert_allclose(out, np.log(expected), atol=1e-5)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0)])
def test_mean_of_logits(weights: tuple[float, ...] | None) -> None:
    """Of logits less each one's own constant at each pixel, which no probability shows."""
    out = Ensemble(CLASSES, fixed(4, 8), weights, average="logits")(IMAGE).logits.detach()
    expected = softmax(np.average(logits_of((4, 8), (8, 12)), axis=0, weights=weights), 1)
    np.testing.assert_allclose(out.softmax(1), expected, atol=1e-6)


def test_means_differ_from_each_other() -> None:
    two = [Ensemble(CLASSES, fixed(4, 4), average=kind)(IMAGE).logits for kind in ("probabilities", "logits")]
    assert (two[0].softmax(1) - two[1].softmax(1)).abs().max() > 0.1


def test_an_ensemble_of_one_is_its_member_between_the_points_of_its_stride_too() -> None:
    out = Ensemble(CLASSES, fixed(8))(IMAGE).logits.detach()
    full = F.interpolate(out, (32, 48), mode="bilinear", align_corners=False).softmax(1)
    np.testing.assert_allclose(full, softmax(logits_of((8,), (32, 48))[0], 1), atol=1e-6)


def test_a_member_of_weight_zero_counts_for_nothing() -> None:
    out = Ensemble(CLASSES, fixed(4, 4), (1, 0))(IMAGE).logits
    torch.testing.assert_close(out, Fixed(4, 0).logits.log_softmax(1))


def test_sure_members_stay_finite() -> None:
    nets = [lambda _: Fixed(4, 0, 1e4), lambda _: Fixed(4, 1, 1e4)]
    for average in ("probabilities", "logits"):
        assert Ensemble(CLASSES, nets, average=average)(IMAGE).logits.isfinite().all()


def test_auxiliary_heads_of_all_members_are_trained() -> None:
    net = Ensemble(CLASSES, fixed(4, 8))
    assert [tuple(aux.shape[-2:]) for aux in net(IMAGE).aux] == [(8, 12), (4, 6)]
    assert net.eval()(IMAGE).aux == ()


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (0.0, 0.0), (1.0, float("nan"))])
def test_weights_that_do_not_fit(weights: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"model\.net\.weights .* for 2 members: give one a member"):
        Ensemble(CLASSES, fixed(4, 4), weights)


@pytest.mark.parametrize("kind", [Ensemble, Stacking])
def test_without_members(kind: type[Ensemble] | type[Stacking]) -> None:
    with pytest.raises(UserError, match="members: none"):
        kind(CLASSES, [])


def test_a_stack_begins_as_the_mean_and_combines_class_by_class() -> None:
    net = Stacking(CLASSES, fixed(4, 8))
    scores = np.stack([log_softmax(member, 1) for member in logits_of((4, 8), (8, 12))])
    np.testing.assert_allclose(net(IMAGE).logits.detach(), scores.mean(0), atol=1e-5)
    weight, bias = torch.randn(CLASSES, 2), torch.randn(CLASSES)
    net.combine.weight.data, net.combine.bias.data = weight.view(CLASSES, 2, 1, 1), bias
    expected = np.einsum("cm,mbchw->bchw", weight, scores) + bias.numpy()[:, None, None]
    np.testing.assert_allclose(net(IMAGE).logits.detach(), expected, atol=1e-4)


def test_a_stack_trains_its_combination_alone() -> None:
    """Of one member that knows the truth and two that guess, it learns to trust the first."""
    truth = Fixed(4, 0).logits.argmax(1)
    net = Stacking(CLASSES, fixed(4, 4, 4)).train()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.05)
    before = [member.logits.clone() for member in net.members]
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(IMAGE).logits, truth).backward()
        optimizer.step()
    assert not any(member.training for member in net.members)
    assert all(map(torch.equal, before, [member.logits for member in net.members]))
    weight = net.combine.weight.detach().view(CLASSES, 3)
    assert (weight[:, 0] > 3 * weight[:, 1:].abs().amax(1)).all()


# ------------------------------------------------------------------------------------------- from the command line

ENCODER = {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": "random"}}
FPN = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
UNET = {"class_path": "seglight.models.decoders.UNet", "init_args": {"channels": [8]}}


def recipe(path: Path, root: Path, decoder: dict[str, Any]) -> Path:
    init_args = {"encoder": ENCODER, "decoder": decoder}
    content = {
        "trainer": {"accelerator": "cpu", "max_steps": 2, "num_sanity_val_steps": 0, "enable_progress_bar": False},
        "model": {"net": {"class_path": "seglight.models.EncoderDecoder", "init_args": init_args}},
        "data": {
            "class_path": "seglight.data.CamVidDataModule",
            "init_args": {"root": str(root), "batch_size": 2, "num_workers": 0, "augmentation": {"crop_size": 32}},
        },
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a recipe, its data, and checkpoints of two architectures with logits at strides 4 and 2."""
    folder = tmp_path_factory.mktemp("members")
    root = fabricate.camvid(folder / "CamVid", train=4, val=2, test=2)
    for name, decoder in (("a", FPN), ("b", UNET)):
        config = recipe(folder / f"{name}.yaml", root, decoder)
        assert main(["fit", "-c", str(config), "--run_dir", str(folder / name)]) == 0
        (folder / name / "checkpoints" / "last.ckpt").rename(folder / f"{name}.ckpt")
    return folder


def test_test_takes_a_list_of_checkpoints(trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    ran = seglight_cli(
        "test", "--config", trained / "a.yaml", "--run_dir", tmp_path,
        "--model.net.class_path", "seglight.models.Ensemble",
        "--model.net.init_args.members", f"[{trained}/a.ckpt,{trained}/b.ckpt]",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    confusion = np.zeros((11, 11), int)
    nets = [load_net(trained / f"{name}.ckpt")[0] for name in "ab"]
    for path in sorted((trained / "CamVid" / "test").iterdir()):
        image = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None]
        height, width = image.shape[-2:]
        image = F.pad(image.float(), (0, -width % 32, 0, -height % 32), mode="replicate").to(torch.uint8)
        with torch.no_grad():
            logits = [net(image).logits for net in nets]
        finest = max(x.shape[-1] for x in logits)
        size = (image.shape[-2] * finest // image.shape[-1], finest)
        mean = sum(F.interpolate(x, size, mode="bilinear").softmax(1) for x in logits) / 2
        pred = F.interpolate(mean.log(), image.shape[-2:], mode="bilinear").argmax(1)[0, :height, :width].numpy()
        mask = np.array(Image.open(trained / "CamVid" / "testannot" / path.name))
        np.add.at(confusion, (mask[mask < 11], pred[mask < 11]), 1)
    ours = np.array(json.loads((tmp_path / "scores.json").read_text())["confusion"])
    assert ours.sum() == confusion.sum()
    assert np.abs(ours - confusion).sum() <= 4  # near-ties


def test_nets_in_a_recipe_are_trained_together(trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    content = yaml.safe_load((trained / "a.yaml").read_text())
    single = content["model"]["net"]
    other = {**single, "init_args": {**single["init_args"], "decoder": UNET}}
    init_args = {"members": [single, other], "weights": [1.0, 3.0]}
    content["model"]["net"] = {"class_path": "seglight.models.Ensemble", "init_args": init_args}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(content))
    ran = seglight_cli("fit", "-c", tmp_path / "both.yaml", "--run_dir", tmp_path / "run")
    assert ran.rc == 0, ran.err
    net, _ = load_net(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert [type(member.decoder).__name__ for member in net.members] == ["FPN", "UNet"]
    assert net.shares.tolist() == [0.25, 0.75]


def test_encoders_of_members_have_their_own_learning_rate() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)

    net = Ensemble(CLASSES, [lambda _: Net(), lambda _: Net()])
    scales = {id(p): group["lr_scale"] for group in ParameterGroups(0.1)(net) for p in group["params"]}
    for member in net.members:
        assert [scales[id(p)] for p in (member.encoder.weight, member.encoder.bias)] == [0.1, 0.1]
        assert scales[id(member.head.weight)] == 1.0


@pytest.mark.parametrize("kind", [Ensemble, Stacking])
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's own
def test_exported_for_images_of_any_size(kind: type[Ensemble] | type[Stacking]) -> None:
    net = kind(CLASSES, [lambda count: TinyNet(count), lambda count: TinyNet(count)]).eval()
    program = program_of(Deployed(net, probabilities=True), None).module()
    for size in ((45, 61), (70, 40)):
        image = torch.randint(256, (1, 3, *size), dtype=torch.uint8)
        labels, probabilities = program(image)
        torch.testing.assert_close(probabilities, WholeImage().probabilities(net, image))
        assert torch.equal(labels, probabilities.argmax(1).to(torch.uint8))


@pytest.mark.parametrize("kind", ["Ensemble", "Stacking"])
def test_a_checkpoint_needs_no_files_of_its_members(
    kind: str, trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.ckpt").write_bytes((trained / f"{name}.ckpt").read_bytes())
    members = f"[{tmp_path}/a.ckpt,{tmp_path}/b.ckpt]"
    ran = seglight_cli(
        "fit", "-c", trained / "a.yaml", "--run_dir", tmp_path / "run", "--trainer.max_steps", 1,
        "--model.net.class_path", f"seglight.models.{kind}", "--model.net.init_args.members", members,
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    for name in "ab":
        (tmp_path / f"{name}.ckpt").unlink()
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    image = trained / "CamVid" / "val"
    assert seglight_cli("predict", checkpoint, image, "--out", tmp_path / "masks").rc == 0
    net, _ = load_net(checkpoint)
    first = load_net(trained / "a.ckpt")[0].state_dict()
    same = [torch.equal(value, net.members[0].state_dict()[key]) for key, value in first.items()]
    assert all(same) is (kind == "Stacking")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Ensemble", "Stacking"])
def test_a_checkpoint_of_a_recipe_is_exported(
    kind: str, trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli(
        "fit", "-c", trained / "a.yaml", "--run_dir", tmp_path / "run", "--trainer.max_steps", 1,
        "--model.net.class_path", f"seglight.models.{kind}",
        "--model.net.init_args.members", f"[{trained}/a.ckpt,{trained}/b.ckpt]",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    checkpoint, out, images = tmp_path / "run" / "checkpoints" / "last.ckpt", tmp_path / "net.onnx", tmp_path / "images"
    images.mkdir()
    for path in (trained / "CamVid" / "val").iterdir():
        (images / path.name).write_bytes(path.read_bytes())
    ran = seglight_cli("export", checkpoint, "--format", "onnx", "--out", out, "--size", "36x48", "--check", images)
    assert ran.rc == 0, (ran.out, ran.err)
    assert out.is_file()


@pytest.mark.parametrize(
    ("members", "change", "told"),
    [
        ("ac", lambda card: card["class_names"].reverse(), "the classes in another order"),
        ("ac", lambda card: card["palette"].reverse(), "other colours of the same classes"),
        (
            "c",
            lambda card: card["class_names"].__setitem__(0, "heaven"),
            "other classes: 11 (sky, building, pole,",
        ),
    ],
    ids=["order", "palette", "than_the_data"],
)
def test_members_of_another_class_table(
    members: str,
    change: Callable[[Any], None],
    told: str,
    trained: Path,
    tmp_path: Path,
    seglight_cli: Callable[..., Any],
) -> None:
    checkpoint = torch.load(trained / "a.ckpt", weights_only=True)
    change(checkpoint["seglight"])
    torch.save(checkpoint, tmp_path / "c.ckpt")
    files = {"a": trained / "a.ckpt", "c": tmp_path / "c.ckpt"}
    ran = seglight_cli(
        "validate", "-c", trained / "a.yaml", "--run_dir", tmp_path / "run",
        "--model.net.class_path", "seglight.models.Ensemble",
        "--model.net.init_args.members", f"[{','.join(str(files[name]) for name in members)}]",
    )  # fmt: skip
    assert ran.rc == 2
    assert len(ran.err.strip().splitlines()) == 1
    assert told in ran.err
