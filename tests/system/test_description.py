"""What describes an object of Python, and what can't be described."""

import copy
import inspect
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from seglight.callbacks import EMA
from seglight.data import Augmentation, FolderDataModule, ShapesDataModule
from seglight.errors import UserError
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.interfaces import Decoder, LossFactory, NetFactory
from seglight.models import EncoderDecoder, TimmEncoder
from seglight.models.decoders import FPN
from seglight.optim.schedules import ParameterGroups
from seglight.system.description import describe
from tests.support.tiny import TinyNet

ENCODER: dict[str, Any] = {
    "class_path": "seglight.models.TimmEncoder",
    "init_args": {"name": "test_resnet", "weights": None},
}
DECODER: dict[str, Any] = {
    "class_path": "seglight.models.decoders.FPN",
    "init_args": {"pyramid_channels": 8, "channels": 8},
}
NET: dict[str, Any] = {
    "class_path": "seglight.models.EncoderDecoder",
    "init_args": {"encoder": ENCODER, "decoder": DECODER},
}


def encoder() -> TimmEncoder:
    return TimmEncoder("test_resnet", None)


def decoder() -> Any:
    return partial(FPN, pyramid_channels=8, channels=8)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (None, None),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        ({"a": (1, Path("b"))}, {"a": [1, "b"]}),
        (WholeImage, {"class_path": "seglight.inference.WholeImage"}),
        (TinyNet, {"class_path": "tests.support.tiny.TinyNet", "init_args": {"norm": True}}),
        (partial(TinyNet, norm=False), {"class_path": "tests.support.tiny.TinyNet", "init_args": {"norm": False}}),
        (
            ParameterGroups(encoder_lr_scale=0.5),
            {"encoder_lr_scale": 0.5, "layer_decay": 1.0},
        ),
        (WholeImage(), {"class_path": "seglight.inference.WholeImage"}),
    ],
)
def test_described(value: Any, expected: Any) -> None:
    described = describe(value, "key")
    assert described == expected
    assert type(described) is type(expected)


def test_arguments_that_were_not_given_are_described_too() -> None:
    """A parser keeps those of another class otherwise: AdamW's weight decay for SGD."""
    described = describe(partial(torch.optim.SGD, lr=0.5), "model.optimizer")
    assert described["class_path"] == "torch.optim.SGD"
    assert described["init_args"].items() >= {"lr": 0.5, "momentum": 0, "weight_decay": 0}.items()
    assert "params" not in described["init_args"]


class OwnLoss(nn.Module):
    def __init__(self, ignore_index: int = 255, act: type[nn.Module] = nn.ReLU, power: float = 2.0) -> None:
        super().__init__()


def test_the_type_of_a_place_decides_how_a_class_is_described() -> None:
    """A factory is called with its first argument; a class is an import path where a type is expected."""
    described = describe(OwnLoss, "model.loss", LossFactory)
    assert described["init_args"] == {"act": "torch.nn.ReLU", "power": 2.0}
    assert describe(partial(OwnLoss, act=nn.GELU), "loss", LossFactory | None)["init_args"]["act"] == "torch.nn.GELU"
    assert describe([nn.GELU], "acts", list[type[nn.Module]]) == ["torch.nn.GELU"]


def test_nets_by_a_factory_and_by_an_object() -> None:
    described = describe(partial(EncoderDecoder, encoder=encoder(), decoder=decoder()), "model.net")
    assert described["class_path"] == NET["class_path"]
    assert described["init_args"]["encoder"]["init_args"].items() >= ENCODER["init_args"].items()
    assert described["init_args"]["decoder"]["init_args"].items() >= DECODER["init_args"].items()
    of_object = describe(EncoderDecoder(4, encoder(), decoder()), "model.net")
    assert of_object["init_args"].pop("num_classes") == 4
    assert of_object == described


def test_data_modules_with_their_augmentation(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text("classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [1, 1, 1]}]")
    described = describe(FolderDataModule(str(tmp_path), augmentation=Augmentation(64), batch_size=2), "data")
    assert described["class_path"] == "seglight.data.FolderDataModule"
    init_args = described["init_args"]
    assert (init_args["root"], init_args["batch_size"]) == (str(tmp_path), 2)
    assert init_args["augmentation"]["crop_size"] == 64
    assert not {"compose", "tried"} & init_args["augmentation"].keys()


def test_inferers_by_class_path_with_all_their_fields() -> None:
    described = describe(TestTimeAugmentation(scales=(1.0, 2.0), inferer=SlidingWindow(64)), "inferer")
    assert described["class_path"] == "seglight.inference.TestTimeAugmentation"
    assert described["init_args"]["scales"] == [1.0, 2.0]
    inner = described["init_args"]["inferer"]
    assert (inner["class_path"], inner["init_args"]["window"]) == ("seglight.inference.SlidingWindow", 64)


def test_a_description_builds_the_net_again() -> None:
    torch.manual_seed(0)
    first = EncoderDecoder(4, encoder(), decoder())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--net", type=NetFactory)
    described = describe(partial(EncoderDecoder, encoder=encoder(), decoder=decoder()), "model.net")
    torch.manual_seed(0)
    again = parser.instantiate(parser.parse_object({"net": described})).net(4)
    assert again.state_dict().keys() == first.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), first.state_dict().values(), strict=True))


def test_copies_and_pickled_objects_keep_their_arguments() -> None:
    net = EncoderDecoder(4, encoder(), decoder())
    expected = describe(net, "net")
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert describe(other, "net") == expected


def test_a_subclass_of_the_users_remembers_too() -> None:
    class Own(Decoder):
        def __init__(self, in_channels: list[int], *, channels: int = 3, **more: int) -> None:
            super().__init__()

    own = Own([1], channels=4, depth=2)
    assert own.built_with == (([1],), {"channels": 4, "depth": 2})
    with pytest.raises(UserError, match=r"^net: the class .*Own can't be imported by other programs"):
        describe(own, "net")


def function(num_classes: int) -> nn.Module:
    return TinyNet(num_classes)


class Star:
    def __init__(self, *parts: int) -> None:
        pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda count: TinyNet(count), "net: a lambda can't be described: give a class or a functools.partial of one"),
        (function, "net: the function function can't be described: give a class or a functools.partial of one"),
        (partial(function), "net: a partial of the function function, .*: give a partial of a class"),
        (partial(TinyNet, 3), r"net: a partial of TinyNet has an argument without a name: .* partial\(TinyNet, "),
        (nn.Linear(1, 1), r"net: an object of torch.nn.modules.linear.Linear can't be .*: give partial\(Linear, ...\)"),
        (partial(TinyNet, norm=nn.Identity()), "net.init_args.norm: an object of .*Identity can't be described"),
        (torch.ones(2), "net: an object of torch.Tensor can't be described: give the numbers that it holds as plain "),
        (np.ones(2), "net: an object of numpy.ndarray can't be described: give the numbers that it holds as plain "),
        (EMA(decay=0.5), r"net: an object of .*EMA can't be described: give partial\(EMA, ...\)"),
        (type("Local", (), {"__module__": "__main__"}), "net: the class Local can't be imported by other programs"),
    ],
)  # fmt: skip
def test_refused_in_one_line(value: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        describe(value, "net")
    assert "\n" not in str(caught.value)


def test_arguments_without_a_name_are_refused() -> None:
    class Own(Decoder):
        def __init__(self, *parts: int) -> None:
            super().__init__()

    with pytest.raises(UserError, match=r"^net: Own takes arguments without names \(\*args\)"):
        describe(Own(1, 2), "net")


def test_the_signature_of_a_class_is_still_its_own() -> None:
    """The parser of recipes reads it."""
    assert list(inspect.signature(EncoderDecoder).parameters)[:3] == ["num_classes", "encoder", "decoder"]
    assert "size" in inspect.signature(ShapesDataModule).parameters
