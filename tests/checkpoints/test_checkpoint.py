"""A net comes back out of a checkpoint, and nothing else does."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seglight.checkpoints.checkpoint import load_net, read_checkpoint
from seglight.errors import UserError
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.models.ensemble import in_full
from tests.support.checkpoint_files import NAMES, net_config, write


@pytest.fixture
def trained() -> EncoderDecoder:
    net = EncoderDecoder(
        3, TimmEncoder("test_resnet", weights=None), lambda channels, strides: FPN(channels, strides, channels=32), -2
    )
    for buffer in net.buffers():
        if buffer.is_floating_point():
            buffer += 0.1 * torch.rand_like(buffer)  # running statistics that no fresh net has
    return net.eval()


@pytest.fixture
def state(trained: EncoderDecoder) -> dict[str, Tensor]:
    net = {f"net.{key}": value for key, value in trained.state_dict().items()}
    return {**net, "jaccard.confmat": torch.zeros(3, 3)}


@pytest.mark.parametrize("depth", [3, 5])
def test_an_encoder_whose_classifier_is_larger_than_all_that_is_kept(tmp_path: Path, depth: int) -> None:
    encoder = {"name": "vgg11_bn", "weights": None, "depth": depth}
    parts = {
        "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": encoder},
        "decoder": {"class_path": "seglight.models.decoders.FPN", "init_args": {"channels": 8, "pyramid_channels": 8}},
    }
    net = EncoderDecoder(
        3,
        TimmEncoder("vgg11_bn", weights=None, depth=depth),
        lambda channels, strides: FPN(channels, strides, channels=8, pyramid_channels=8),
    )
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    config = {"class_path": "seglight.models.EncoderDecoder", "init_args": parts}
    loaded, _ = load_net(write(tmp_path / "vgg.ckpt", config, state))
    image = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    torch.testing.assert_close(loaded(image).logits, net.eval()(image).logits, rtol=0, atol=0)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError("the hub was asked")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", refuse)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("weights", [None, "hub", "offline", "file/that/is/gone.safetensors"])
def test_same_outputs_and_no_encoder_weights_fetched(
    weights: str | None, channels_last: bool, trained: EncoderDecoder, state: dict[str, Tensor], tmp_path: Path
) -> None:
    net, card = load_net(write(tmp_path / "a.ckpt", net_config(weights), state, channels_last))
    image = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(net(image).logits, trained(image).logits)
    assert not net.training
    assert card.class_names == tuple(NAMES)
    assert net.encoder.net.conv1[0].weight.is_contiguous(memory_format=torch.channels_last) or not channels_last


@pytest.mark.usefixtures("no_hub")
def test_the_hub_would_have_been_missed() -> None:
    with pytest.raises(UserError, match="are not available from the hub"):
        TimmEncoder("test_resnet", weights="hub")


def smuggled(place: str) -> Any:
    """A net's configuration that names a class of a strange package somewhere."""
    if place == "net":
        return {"class_path": "strange.Thing"}
    net = net_config()
    part, _, how = place.partition(" ")
    forms = {
        "": {"class_path": "strange.Thing"},
        "as a string": "strange.Thing",
        "as YAML": "class_path: strange.Thing",
        "as JSON with an escape": '{"cl\\u0061ss_path": "strange.Thing"}',
    }
    net["init_args"][part] = forms[how]
    return net


FORMS = ["", " as a string", " as YAML", " as JSON with an escape"]
PLACES = ["net", *(part + form for part in ("encoder", "decoder") for form in FORMS)]


@pytest.mark.parametrize("place", PLACES)
def test_untrusted_class_is_refused_and_not_imported(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strange.py").write_text(
        "import pathlib\nfrom torch import nn\n"
        f"pathlib.Path({str(tmp_path / 'imported')!r}).touch()\n"
        "class Thing(nn.Module):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = write(tmp_path / "a.ckpt", smuggled(place))
    try:
        with pytest.raises(UserError, match=r"a.ckpt: refused, it names the class strange.Thing.*--trust strange"):
            load_net(path)
        assert not (tmp_path / "imported").exists()
    finally:
        sys.modules.pop("strange", None)


def test_members_of_an_ensemble_are_not_imported_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strange.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'imported')!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    member = write(tmp_path / "a.ckpt", {"class_path": "strange.Thing", "init_args": {}})
    with pytest.raises(UserError, match=r"a.ckpt: refused, it names the class strange.Thing"):
        in_full({"class_path": "seglight.models.Ensemble", "init_args": {"members": [str(member)]}})
    assert not (tmp_path / "imported").exists()


def test_a_trusted_package_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nclass Head(nn.Conv2d):\n"
        "    def __init__(self, num_classes: int) -> None:\n        super().__init__(3, num_classes, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    conv = nn.Conv2d(3, 3, 1)
    state = {f"net.{key}": value for key, value in conv.state_dict().items()}
    path = write(tmp_path / "a.ckpt", {"class_path": "mine.Head"}, state)
    with pytest.raises(UserError, match="--trust mine"):
        load_net(path)
    net, _ = load_net(path, trusted=["mine"])
    assert torch.equal(net.weight, conv.weight)


@pytest.mark.parametrize("class_path", ["torch.hub.load", "torch.save", "torch.optim.SGD", "timm.create_model"])
@pytest.mark.parametrize("place", ["net", "decoder"])
def test_what_is_no_module_is_refused(place: str, class_path: str, tmp_path: Path) -> None:
    net = net_config()
    if place == "net":
        net = {"class_path": class_path}
    else:
        net["init_args"][place] = {"class_path": class_path}
    with pytest.raises(UserError, match=rf"a\.ckpt: refused, it names {class_path}, which is no part of a net"):
        load_net(write(tmp_path / "a.ckpt", net))


@pytest.mark.parametrize("class_path", ["seglight.models.Gone", "seglight.gone.Net", "torch"])
def test_a_class_that_is_not_there(class_path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"a\.ckpt: it names the class {class_path}, which is not installed here"):
        load_net(write(tmp_path / "a.ckpt", {"class_path": class_path}))


@pytest.mark.parametrize("init_args", [{"chanels": 3}, {"channels": "many"}])
def test_arguments_that_the_class_does_not_take(init_args: dict[str, Any], tmp_path: Path) -> None:
    net = net_config()
    net["init_args"]["decoder"]["init_args"] = init_args
    with pytest.raises(UserError, match=r"a.ckpt: .*(chanels|channels)"):
        load_net(write(tmp_path / "a.ckpt", net))


@pytest.mark.parametrize("net", [{}, None])
def test_a_checkpoint_without_a_net(net: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.ckpt"):
        load_net(write(tmp_path / "a.ckpt", net))


@pytest.mark.parametrize("change", ["missing", "shape", "strange"])
def test_weights_that_do_not_fit(change: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    if change == "missing":
        del state["net.head.weight"]
    elif change == "shape":
        state["net.head.weight"] = torch.zeros(5, 32, 1, 1)
    else:
        state["net.unknown"] = torch.zeros(1)
    with pytest.raises(
        UserError,
        match=r"a.ckpt: of another net, 1 tensors do not fit, such as (head.weight|unknown): use its own recipe",
    ):
        load_net(write(tmp_path / "a.ckpt", net_config(), state))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.ckpt: no such checkpoint"):
        read_checkpoint(tmp_path / "gone.ckpt")


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"seglight": Evil(), "state_dict": {}}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match=r"evil.ckpt: refused"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, -200])
def test_cut_off_file(cut: int, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(tmp_path / "a.ckpt", net_config(), state)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"a\.ckpt: (refused|not readable)"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {}}, {"seglight": {}}])
def test_what_seglight_did_not_write(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other.pth: not a checkpoint of `seglight fit`"):
        read_checkpoint(tmp_path / "other.pth")
