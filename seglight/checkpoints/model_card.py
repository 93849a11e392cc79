"""The model card: what it takes to use a net without its recipe. Imports no torch: exported files carry one, too.

A checkpoint keeps it under the key `seglight`, a released folder as `release.json`, and an exported file as JSON under
the key `seglight`, beside what is true of its graph only. In all of them it is one flat dict of plain values.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from seglight import __version__
from seglight.data.classes import Classes
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands, unnamed
from seglight.images.types import Color

KEY = "seglight"
"""Where a checkpoint and an exported file keep their card."""

CARD_VERSION = 4
"""Raised with each field that is added: an earlier seglight then refuses the card instead of missing the field.

Cards without this entry are of version 1, written by seglight 0.1; version 2 has no temperature, version 3 no `image`,
and cards of 8-bit RGB are still written as version 3. Entries that are no fields are ignored.
"""

TASKS = ("semantic",)

TEMPERATURES = (1e-3, 1e3)
"""Smallest and largest temperature: far from any that is found, and logits divided by one of them stay finite."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the image's bands, in [0, 1], that an encoder normalises with."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, list[float]]:
        """The two as plain values."""
        return {"mean": list(self.mean), "std": list(self.std)}


@dataclass(frozen=True)
class Provenance:
    """Where a net comes from; None where that is not known.

    Attributes:
        version: Version of seglight that wrote the card.
        step: Optimizer steps of the training.
        loss: Class path of the loss.
        optimizer: Class path of the optimizer.
        parameters: Number of the net's parameters.
        checksum: SHA-256 of the net's weights, as `weights_checksum` computes it.
        scores: Content of the run's scores.json, if it is of these weights.
        data: Fingerprint of the images that were scored.
    """

    version: str = __version__
    step: int | None = None
    loss: str | None = None
    optimizer: str | None = None
    parameters: int | None = None
    checksum: str | None = None
    scores: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


@dataclass(frozen=True)
class ModelCard:
    """Description of a trained net.

    Args:
        net: Configuration of the net: class_path and init_args, nested. Empty in exported files of seglight 0.1.
        class_names: Names of the classes, by class index.
        palette: RGB colours of the classes, by class index.
        ignore_index: Mask value that is ignored.
        channels_last: Whether the net runs in that memory format; on it the last digits of the logits depend.
        task: What the net predicts: "semantic".
        bands: Number of channels of the images; None in files of seglight 0.1.
        normalisation: One entry for each encoder; None in checkpoints and exported files of seglight 0.1.
        temperature: Divisor of the logits before the softmax, which calibrates the probabilities of exactly these
            weights; labels do not depend on it. None: 1, and in files of earlier versions.
        image: What the images hold; None: 8-bit values, of RGB if `bands` is 3.
        provenance: Where the net comes from.
    """

    net: dict[str, Any]
    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore_index: int
    channels_last: bool = False
    task: str = "semantic"
    bands: int | None = None
    normalisation: tuple[Normalisation, ...] | None = None
    temperature: float | None = None
    image: Bands | None = None
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def classes(self) -> Classes:
        """Class table."""
        return Classes(self.class_names, self.palette)

    @property
    def pixels(self) -> Bands:
        """What the images hold."""
        if self.image is not None:
            return self.image
        return RGB if self.bands is None else unnamed(self.bands)

    def to_dict(self) -> dict[str, Any]:
        """The card as plain values, which load weights-only and as JSON."""
        image = {} if self.image is None else {"image": self.image.to_dict()}
        return {
            "card_version": CARD_VERSION if image else CARD_VERSION - 1,
            "task": self.task,
            "net": self.net,
            "num_classes": self.num_classes,
            "ignore_index": self.ignore_index,
            "class_names": list(self.class_names),
            "palette": list(self.palette),
            "channels_last": self.channels_last,
            "bands": self.bands,
            "normalisation": None if self.normalisation is None else [entry.to_dict() for entry in self.normalisation],
            "temperature": self.temperature,
            **image,
            **asdict(self.provenance),
        }

    @classmethod
    def from_dict(cls, content: Any, path: object, kind: str = "a checkpoint of `seglight fit`") -> "ModelCard":
        """Read a card of this version or an earlier one.

        Args:
            content: Dict that `to_dict` returned, or that an earlier version wrote.
            path: File that it was read from, for the error message.
            kind: What the file should be, for the error message.

        Raises:
            UserError: The content is no card, or the card of a later version of seglight.
        """
        if not isinstance(content, Mapping):
            raise UserError(f"{path}: not {kind}: it holds no model card")
        version = content.get("card_version", 1)
        if type(version) is not int or version < 1:
            raise UserError(f"{path}: not {kind}: `card_version` of its model card is not valid")
        if version > CARD_VERSION:
            raise UserError(
                f"{path}: its model card is of version {version}, and this seglight reads versions up to "
                f"{CARD_VERSION}: update seglight"
            )
        known = {key: content[key] for key in (*_FIELDS, *_ORIGINS) if key in content}
        known.setdefault("net", {} if "precision" in content else None)  # exported files of version 1 have none
        for key, is_valid in _VALID.items():
            if not is_valid(known.get(key, _DEFAULTS.get(key))):
                raise UserError(f"{path}: not {kind}: `{key}` of its model card is missing or not valid")
        count = len(known["class_names"])
        if len(known["palette"]) != count or content.get("num_classes", count) != count:
            raise UserError(f"{path}: not {kind}: the numbers of classes, names and colours of its model card differ")
        origin = {key: known.pop(key) for key in _ORIGINS if key in known}
        return cls(**{**known, **_converted(known)}, provenance=Provenance(**origin))


def is_temperature(value: Any) -> bool:
    """Whether a value can be a temperature: a finite number above 0, within `TEMPERATURES`."""
    low, high = TEMPERATURES
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def class_path(part: object) -> str:
    """Import path of an object's class."""
    return f"{type(part).__module__}.{type(part).__qualname__}"


_FIELDS = tuple(entry.name for entry in fields(ModelCard) if entry.name != "provenance")
_ORIGINS = tuple(entry.name for entry in fields(Provenance))
_DEFAULTS = {"channels_last": False, "task": "semantic"}


def _converted(card: Mapping[str, Any]) -> dict[str, Any]:
    normalisation = card.get("normalisation")
    return {
        "class_names": tuple(card["class_names"]),
        "palette": tuple((r, g, b) for r, g, b in card["palette"]),
        "normalisation": None
        if normalisation is None
        else tuple(Normalisation(tuple(entry["mean"]), tuple(entry["std"])) for entry in normalisation),
        "temperature": None if card.get("temperature") is None else float(card["temperature"]),
        "image": None if card.get("image") is None else Bands.from_dict(card["image"]),
    }


def _is_list_of(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and len(value) > 0 and all(map(is_valid, value))


def _is(*types: type | None) -> Callable[[Any], bool]:
    return lambda value: any(value is None if kind is None else type(value) is kind for kind in types)


def _is_color(color: Any) -> bool:
    channels = isinstance(color, list | tuple) and len(color) == 3
    return channels and all(type(value) is int and 0 <= value <= 255 for value in color)


def _is_normalisation(entry: Any) -> bool:
    numbers = _is_list_of(_is(int, float))
    return isinstance(entry, Mapping) and numbers(entry.get("mean")) and numbers(entry.get("std"))


def _is_bands(content: Any) -> bool:
    try:
        return content is None or len(Bands.from_dict(content).names) > 0
    except UserError:
        return False


_VALID: dict[str, Callable[[Any], bool]] = {
    "net": _is(dict),
    "class_names": _is_list_of(_is(str)),
    "palette": _is_list_of(_is_color),
    "ignore_index": _is(int),
    "channels_last": _is(bool),
    "task": lambda task: task in TASKS,
    "bands": lambda bands: bands is None or (type(bands) is int and bands > 0),
    "normalisation": lambda entries: entries in (None, [], ()) or _is_list_of(_is_normalisation)(entries),
    "temperature": lambda temperature: temperature is None or is_temperature(temperature),
    "image": _is_bands,
    "version": _is(str),
    "step": _is(int, None),
    "loss": _is(str, None),
    "optimizer": _is(str, None),
    "parameters": _is(int, None),
    "checksum": _is(str, None),
    "scores": _is(dict, None),
    "data": _is(dict, None),
}
