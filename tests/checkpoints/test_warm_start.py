"""A warm start loads everything that does not depend on the classes, and says in one line what it did not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seglight.checkpoints.warm_start import load_fitting_weights
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.interfaces import Decoder, Encoder, Net, heads_of
from seglight.models import EncoderDecoder, Ensemble, PointRend, Stacking, TimmEncoder
from seglight.models.bands import use_bands
from seglight.models.decoders import FPN, OCR
from tests.support.bad_input import CLI
from tests.support.checkpoint_files import card


class Small(Encoder):
    """One feature of stride 2; one of its modules is called `head`, as a stem may be."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, stride=2, padding=1)
        self.out_channels = [width]
        self.strides = [2]

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.head(image.float())]


class Scoring(Decoder):
    """A decoder with class scores of its own."""

    heads = ("scores.",)

    def __init__(self, in_channels: Sequence[int], in_strides: Sequence[int], classes: int) -> None:
        super().__init__()
        self.out_channels = in_channels[0]
        self.scores = nn.Conv2d(in_channels[0], classes, 1)
        self.back = nn.Conv2d(classes, in_channels[0], 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        found: Tensor = self.back(self.scores(features[0]))
        return found


def plain(channels: Sequence[int], strides: Sequence[int]) -> Decoder:
    return FPN(channels, [4], pyramid_channels=4, channels=4)


def encoder() -> Encoder:
    return TimmEncoder("test_resnet", weights=None)


def narrow(channels: Sequence[int], strides: Sequence[int]) -> Decoder:
    return FPN(channels, strides, pyramid_channels=4, channels=4)


def fpn(classes: int) -> Net:
    return EncoderDecoder(classes, encoder(), narrow, aux_index=-2)


NETS: dict[str, Callable[[int], Net]] = {
    "encoder_decoder": fpn,
    "guided": lambda classes: EncoderDecoder(
        classes, encoder(), partial(OCR, channels=8, key_channels=8), aux_index=-2
    ),
    "pointrend": lambda classes: PointRend(classes, encoder(), narrow, channels=8),
    "ensemble": lambda classes: Ensemble(classes, [fpn, fpn]),
    "stacking": lambda classes: Stacking(classes, [fpn, fpn]),
}


def saved(net: nn.Module, path: Path, classes: int, bands: Bands | None = None) -> Path:
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    described = replace(card([str(k) for k in range(classes)]), image=bands)
    torch.save({"seglight": described.to_dict(), "state_dict": state}, path)
    return path


@pytest.mark.parametrize("kind", NETS)
def test_what_depends_on_the_classes_is_under_heads(kind: str) -> None:
    three, five = (NETS[kind](classes).state_dict() for classes in (3, 5))
    differing = {key for key in three if three[key].shape != five[key].shape}
    assert differing
    assert all(key.startswith(heads_of(NETS[kind](3))) for key in differing)


@pytest.mark.parametrize("kind", NETS)
def test_a_net_for_other_classes_takes_all_but_its_heads(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs, net = NETS[kind](5), NETS[kind](3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    start = load_fitting_weights(net, saved(theirs, tmp_path / "a.ckpt", 5))
    assert start.differing
    assert start.absent == start.unused == []
    for key, value in net.state_dict().items():
        expected = before[key] if key in start.differing else theirs.state_dict()[key]
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_the_line_by_hand(tmp_path: Path) -> None:
    path = saved(EncoderDecoder(5, Small(), plain, aux_index=0), tmp_path / "a.ckpt", 5)
    net = EncoderDecoder(3, Small(), plain)
    total = len(net.state_dict())
    assert load_fitting_weights(net, path).line() == (
        f"model.weights {path}: {total - 2} tensors are loaded; head untrained, as the checkpoint is for 5 classes; "
        "aux_head.0.0, aux_head.0.1, aux_head.1 of the checkpoint not used"
    )
    path = saved(net, tmp_path / "b.ckpt", 3)
    assert load_fitting_weights(EncoderDecoder(3, Small(), plain, aux_index=0), path).line() == (
        f"model.weights {path}: {total} tensors are loaded; "
        "aux_head.0.0, aux_head.0.1, aux_head.1 untrained, as the checkpoint does not have it"
    )
    start = load_fitting_weights(net, path)
    assert start.line(start.class_names) == f"model.weights {path}: {total} tensors are loaded"
    theirs = ", ".join(start.class_names)
    assert start.line(("x", "y", "z")) == (
        f"model.weights {path}: {total} tensors are loaded; its head too, which was trained for the classes {theirs}"
    )


def test_a_module_of_the_encoder_that_is_called_head_has_to_load(tmp_path: Path) -> None:
    theirs = EncoderDecoder(5, Small(), plain)
    net = EncoderDecoder(3, Small(), plain)
    load_fitting_weights(net, saved(theirs, tmp_path / "a.ckpt", 5))
    torch.testing.assert_close(net.encoder.head.weight, theirs.encoder.head.weight, rtol=0, atol=0)
    with pytest.raises(UserError, match=r"of another net, .* such as encoder\.head\.weight"):
        load_fitting_weights(net, saved(EncoderDecoder(3, Small(width=6), plain), tmp_path / "b.ckpt", 3))


def test_a_decoder_declares_class_scores_of_its_own(tmp_path: Path) -> None:
    theirs, net = (EncoderDecoder(c, Small(), partial(Scoring, classes=c)) for c in (5, 3))
    assert "decoder.scores." in net.heads
    with pytest.raises(UserError, match=r"1 tensors are missing or of another shape, such as decoder\.back\.weight"):
        load_fitting_weights(net, saved(theirs, tmp_path / "a.ckpt", 5))


class Foreign(nn.Module):
    """A net of somebody else, which declares nothing."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 1)
        self.seg_head = nn.Conv2d(4, num_classes, 1)


def test_a_net_that_declares_no_heads_has_them_by_name(tmp_path: Path) -> None:
    theirs, net = Foreign(5), Foreign(3)
    start = load_fitting_weights(net, saved(theirs, tmp_path / "a.ckpt", 5))
    assert start.differing == ["seg_head.weight", "seg_head.bias"]
    torch.testing.assert_close(net.body.weight, theirs.body.weight, rtol=0, atol=0)


class Listed(Net):
    heads = ["c."]  # noqa: RUF012

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 1)
        self.c = nn.Conv2d(4, num_classes, 1)


def test_heads_may_be_a_list(tmp_path: Path) -> None:
    start = load_fitting_weights(Listed(3), saved(Listed(5), tmp_path / "a.ckpt", 5))
    assert start.differing == ["c.weight", "c.bias"]


def test_the_command_line_says_it(tmp_path: Path, seglight_cli: CLI) -> None:
    path = saved(fpn(5), tmp_path / "a.ckpt", 5)
    decoder: Any = ("--model.net.init_args.decoder", "seglight.models.decoders.FPN")
    ran = seglight_cli(
        "fit", "--data", "seglight.data.ShapesDataModule", "--data.init_args.size", 32,
        "--model.net", "seglight.models.EncoderDecoder", "--model.net.init_args.aux_index", -2,
        "--model.net.init_args.encoder", "seglight.models.TimmEncoder",
        "--model.net.init_args.encoder.init_args.name", "test_resnet",
        *decoder, "--model.net.init_args.decoder.init_args.pyramid_channels", 4,
        "--model.net.init_args.decoder.init_args.channels", 4,
        "--model.weights", path, "--trainer.fast_dev_run", 1, "--trainer.accelerator", "cpu",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    assert ran.err.count("head, aux_head.1 untrained, as the checkpoint is for 5 classes") == 1


def test_declared_statistics_stay(tmp_path: Path) -> None:
    """Photos of 8 bits are normalised by ImageNet's statistics, which would be far off for 16 bits."""
    photos = fpn(2)
    path = saved(photos, tmp_path / "photos.ckpt", 2)
    net, bands = fpn(2), Bands(("B04", "B03", "B02"), "uint16", (900.0, 800.0, 700.0), (300.0,) * 3)
    use_bands(net, bands)
    found = load_fitting_weights(net, path)
    assert "its mean and std of the bands are not used" in found.line()
    state = net.state_dict()
    assert state["encoder.mean"].flatten().tolist() == [900, 800, 700]
    assert state["encoder.std"].flatten().tolist() == [300] * 3
    theirs = photos.state_dict()
    others = [key for key in theirs if key not in ("encoder.mean", "encoder.std")]
    assert all(torch.equal(state[key], theirs[key]) for key in others)
    assert "mean and std" not in load_fitting_weights(fpn(2), path).line()


def first(net: nn.Module) -> Tensor:
    """Weights of the first convolution."""
    return next(value.detach().clone() for value in net.parameters() if value.ndim == 4)


def of(*names: str, **options: Any) -> Bands:
    return Bands(names, "uint16", (900.0,) * len(names), (300.0,) * len(names), **options)


def test_checkpoints_of_other_bands_are_matched_by_name(tmp_path: Path) -> None:
    photos = fpn(2)
    path, weight = saved(photos, tmp_path / "photos.ckpt", 2), first(photos)
    turned = fpn(2)
    use_bands(turned, of("blue", "green", "red"))
    found = load_fitting_weights(turned, path)
    torch.testing.assert_close(first(turned), weight[:, [2, 1, 0]], rtol=0, atol=0)
    assert found.line().endswith("; its first convolution is matched by the names of the bands")
    more = fpn(2)
    use_bands(more, of("B02", "B03", "B04", "nir", ratios={"ndvi": ("nir", "B04")}))
    found = load_fitting_weights(more, path)
    mean = weight.mean(1)
    expected = torch.stack([weight[:, 2], weight[:, 1], weight[:, 0], mean, mean], 1) * 3 / 5
    torch.testing.assert_close(first(more), expected)
    assert found.line().endswith(
        "and nir, ndvi start from the mean of red, green, blue: bands that were only renamed need their former names"
    )
    assert all(torch.equal(*pair) for pair in list(zip(more.parameters(), photos.parameters(), strict=True))[1:])
    assert more(torch.zeros(2, 4, 64, 64, dtype=torch.uint16)).logits.isfinite().all()


def test_a_checkpoint_of_many_bands_starts_one_of_8_bit_rgb(tmp_path: Path) -> None:
    bands, net = of("nir", "blue", "green", "red"), fpn(2)
    use_bands(net, bands)
    path = saved(net, tmp_path / "many.ckpt", 2, bands)
    photos = fpn(2)
    own = photos.state_dict()["encoder.mean"]
    found = load_fitting_weights(photos, path)
    torch.testing.assert_close(first(photos), first(net)[:, [3, 2, 1]] * 4 / 3)
    assert torch.equal(photos.state_dict()["encoder.mean"], own)
    assert "matched by the names" in found.line()


class Told(Small):
    """An encoder of another project, for bands that it is given."""

    def use_bands(self, bands: Bands) -> None:
        pass


def test_other_encoders_are_not_matched(tmp_path: Path) -> None:
    net = EncoderDecoder(2, Told(), plain)
    path = saved(net, tmp_path / "a.ckpt", 2, of("red", "green", "nir"))
    use_bands(net, of("red", "green", "nir"))
    assert load_fitting_weights(net, path).line().endswith("tensors are loaded")
    other = EncoderDecoder(2, Told(), plain)
    use_bands(other, of("nir", "green", "red"))
    with pytest.raises(UserError, match=r"it reads 3 bands of uint16 \(red, green, nir\), which Told does not"):
        load_fitting_weights(other, path)
