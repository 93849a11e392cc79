"""Labelling configurations of Label Studio: in which of its controls, and as which label, classes are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

from seglight.data.layouts.safe_xml import parse_xml
from seglight.errors import UserError

KINDS = {"BrushLabels": "brushlabels", "PolygonLabels": "polygonlabels"}
"""Tags of controls that classes are written to, the preferred first, and the type of their regions."""

LONGEST = 1 << 20
"""Characters of a configuration; a larger one would keep the web process busy."""

NAME = "the labelling configuration"


class Target(NamedTuple):
    """A label that classes are written as.

    Args:
        kind: Type of its regions: "brushlabels" or "polygonlabels".
        control: Name of the control.
        image: Name of the image's tag.
        label: The label as Label Studio stores it.
        classes: Indices of the classes.
    """

    kind: str
    control: str
    image: str
    label: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """How a prediction is written for a project.

    Args:
        image_key: Key of the image in the data of a task.
        targets: Labels, in the order of the model's classes; a class without a label is not written.
    """

    image_key: str
    targets: tuple[Target, ...]


class Label(NamedTuple):
    """A label of a control.

    Args:
        kind: Type of its regions.
        control: Name of the control.
        name: The label as Label Studio stores it.
        stated: Names of classes in its `predicted_values`.
        own: Its value and its alias.
    """

    kind: str
    control: str
    name: str
    stated: list[str]
    own: list[str]


def plan_of(text: str, classes: Sequence[str]) -> Plan:
    """Find the labels that the classes of a model are written as.

    A label stands for the classes in its `predicted_values`, as with Label Studio's own backends, or else for the class
    that has its value or its alias as name, in whatever case. Labels of BrushLabels come before those of PolygonLabels.

    Args:
        text: Labelling configuration of the project, XML.
        classes: Names of the model's classes, by index.

    Raises:
        UserError: The configuration can't be read, or has no label for any class.
    """
    if len(text) > LONGEST:
        raise UserError(f"{NAME} has {len(text)} characters, and at most {LONGEST} are read: shorten it")
    root = parse_xml(text, NAME)
    images = {element.get("name", ""): element for element in root.iter("Image")}
    controls = [
        element
        for tag in KINDS
        for element in root.iter(tag)
        if element.get("name") and element.get("toName", "") in images
    ]
    if not controls:
        raise UserError(f"{NAME} has neither BrushLabels nor PolygonLabels for an image: add one of them, with labels")
    image = controls[0].get("toName", "")  # a net predicts one image of a task
    labels = _labels(root, [element for element in controls if element.get("toName") == image])
    targets = _targets(labels, image, _by_name(classes))
    if not targets:
        raise UserError(
            f"{NAME} has no label for a class of the model: its labels are {_shown([label.name for label in labels])}, "
            f"and the classes {_shown(classes)}: name labels by classes, or state classes in their predicted_values"
        )
    return Plan(_image_key(images[image]), targets)


def unlabelled(plan: Plan, classes: Sequence[str]) -> list[str]:
    """Classes that a plan does not write, by name."""
    written = {index for target in plan.targets for index in target.classes}
    return [name for index, name in enumerate(classes) if index not in written]


def _labels(root: Element, controls: Sequence[Element]) -> list[Label]:
    """Labels of some controls, in their order; of controls within each other, a label belongs to the innermost."""
    labels: dict[Element, list[Label]] = {control: [] for control in controls}
    control_of: dict[Element, Element | None] = {}
    for element in root.iter():  # once: for each control, this would take the square of the size
        control = element if element in labels else control_of.get(element)
        if control is not None:
            control_of |= dict.fromkeys(element, control)
            if element.tag == "Label":
                labels[control] += _label(element, control)
    return [label for control in controls for label in labels[control]]


def _label(element: Element, control: Element) -> list[Label]:
    """The label of an element; none if it has no name."""
    value = element.get("value") or ""
    name = element.get("alias") or value
    stated = [text.strip() for text in element.get("predicted_values", "").split(",") if text.strip()]
    return [Label(KINDS[control.tag], control.get("name", ""), name, stated, [value, name])] if name else []


def _targets(labels: Sequence[Label], image: str, index_of: Mapping[str, int]) -> tuple[Target, ...]:
    """Each label with its classes; a class belongs to the first label that stands for it."""

    def indices(names: Sequence[str]) -> list[int]:
        found = [index_of.get(name, index_of.get(name.lower())) for name in names]
        return [index for index in found if index is not None]

    taken: set[int] = set()
    targets = []
    for label in labels:
        classes = {*(indices(label.stated) or indices(label.own)[:1])} - taken
        taken |= classes
        if classes:
            targets.append(Target(label.kind, label.control, image, label.name, tuple(sorted(classes))))
    return tuple(sorted(targets, key=lambda target: target.classes))


def _by_name(classes: Sequence[str]) -> dict[str, int]:
    """Index of each class by its name, and by the name in lower case where that is not a name itself."""
    first = list(enumerate(classes))[::-1]  # of two of one name, the first one stays
    return {name.lower(): index for index, name in first} | {name: index for index, name in first}


def _image_key(image: Element) -> str:
    value = image.get("value", "")
    if not value.startswith("$") or len(value) == 1:
        raise UserError(
            f'{NAME} has an image whose value is {value!r}: state the key of the tasks\' images, such as value="$image"'
        )
    return value[1:]


def _shown(names: Sequence[str]) -> str:
    return ", ".join([*names[:10], *(["..."] if len(names) > 10 else [])]) or "none"
