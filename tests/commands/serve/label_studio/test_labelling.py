from typing import Any

import pytest

from seglight.commands.serve.label_studio import labelling
from seglight.commands.serve.label_studio.labelling import Plan, Target, plan_of, unlabelled
from seglight.errors import UserError

CLASSES = ("background", "road", "Car", "tree")


def view(*controls: str, image: str = '<Image name="photo" value="$picture"/>') -> str:
    return f"<View>{image}{''.join(controls)}</View>"


def control(tag: str, *labels: str, name: str = "tag", to: str = "photo") -> str:
    return f'<{tag} name="{name}" toName="{to}">{"".join(f"<Label {label}/>" for label in labels)}</{tag}>'


def test_labels_are_matched_by_name_in_any_case() -> None:
    plan = plan_of(view(control("BrushLabels", 'value="car"', 'value="Road" background="#804080"')), CLASSES)
    assert plan == Plan(
        "picture",
        (
            Target("brushlabels", "tag", "photo", "Road", (1,)),
            Target("brushlabels", "tag", "photo", "car", (2,)),
        ),
    )
    assert unlabelled(plan, CLASSES) == ["background", "tree"]


def test_an_exact_name_comes_before_one_in_another_case() -> None:
    plan = plan_of(view(control("BrushLabels", 'value="a"', 'value="A"')), ("A", "a"))
    assert [(target.label, target.classes) for target in plan.targets] == [("A", (0,)), ("a", (1,))]


def test_the_choice_of_controls_is_the_form_of_the_regions() -> None:
    plan = plan_of(view(control("PolygonLabels", 'value="road"')), CLASSES)
    assert [target.kind for target in plan.targets] == ["polygonlabels"]
    both = view(
        control("PolygonLabels", 'value="road"', 'value="tree"', name="outline"),
        control("BrushLabels", 'value="road"', name="brush"),
    )
    assert [(target.control, target.label) for target in plan_of(both, CLASSES).targets] == [
        ("brush", "road"),
        ("outline", "tree"),
    ]


def test_an_alias_is_what_label_studio_stores() -> None:
    plan = plan_of(view(control("BrushLabels", 'value="Strasse" alias="road"', 'value="tree" alias="baum"')), CLASSES)
    assert [(target.label, target.classes) for target in plan.targets] == [("road", (1,)), ("baum", (3,))]


def test_predicted_values_name_several_classes() -> None:
    labels = ('value="thing" predicted_values="tree, Car, boat"', 'value="tree"', 'value="road" predicted_values="x"')
    plan = plan_of(view(control("BrushLabels", *labels)), CLASSES)
    assert [(target.label, target.classes) for target in plan.targets] == [("road", (1,)), ("thing", (2, 3))]


def test_of_two_images_that_of_the_first_control_is_predicted() -> None:
    images = '<Image name="left" value="$l"/><Image name="right" value="$r"/>'
    config = view(
        control("BrushLabels", 'value="road"', name="one", to="right"),
        control("BrushLabels", 'value="Car"', name="two", to="left"),
        image=images,
    )
    plan = plan_of(config, CLASSES)
    assert plan.image_key == "r"
    assert [target.label for target in plan.targets] == ["road"]


def test_of_controls_within_each_other_a_label_belongs_to_the_innermost(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = control("BrushLabels", 'value="road"', name="inner")
    outer = control("BrushLabels", 'value="tree"', name="outer").replace("</BrushLabels>", f"{inner}</BrushLabels>")
    assert [(target.control, target.label) for target in plan_of(view(outer), CLASSES).targets] == [
        ("inner", "road"),
        ("outer", "tree"),
    ]
    # each is looked at once: a small configuration of many in many would keep the web process busy
    seen = []
    label = labelling.Label

    def counted(*values: Any) -> labelling.Label:
        seen.append(values)
        return label(*values)

    monkeypatch.setattr(labelling, "Label", counted)
    opened = "".join(f'<BrushLabels name="{number}" toName="photo">' for number in range(30))
    plan_of(view(opened + '<Label value="road"/>' * 30 + "</BrushLabels>" * 30), CLASSES)
    assert len(seen) == 30


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("<View>", "the labelling configuration: not readable as XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View/>', "it has a document type"),
        ("<View/>", "neither BrushLabels nor PolygonLabels for an image"),
        (view(control("RectangleLabels", 'value="road"')), "neither BrushLabels nor PolygonLabels"),
        (view(control("BrushLabels", 'value="road"', to="text")), "neither BrushLabels nor PolygonLabels"),
        (
            view(control("BrushLabels", 'value="sky"', 'value="sea"')),
            "no label for a class of the model: its labels are sky, sea, and the classes background, road, Car, tree: ",
        ),
        (view(control("BrushLabels")), "its labels are none"),
        (
            view(control("BrushLabels", 'value="road"'), image='<Image name="photo" valueList="$pages"/>'),
            "an image whose value is ''",
        ),
    ],
)
def test_a_configuration_without_a_use_is_one_line(config: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        plan_of(config, CLASSES)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_configuration_of_any_length_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "LONGEST", 10)
    with pytest.raises(UserError, match="11 characters, and at most 10 are read"):
        plan_of("<View>     ", CLASSES)
