"""The page of a card, parsed: its sections, its values, what is null, and names that mean harm.

Covers: commands.card.page_calibration, commands.card.page_images, commands.card.page_net, commands.card.page_parts,
commands.card.page_robustness, commands.card.page_scores, commands.card.page_summary.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from seglight.commands.card.page import write_page
from seglight.commands.card.page_robustness import radius_text
from seglight.commands.html_page.numbers import NONE
from seglight.commands.html_page.tables import TALL
from tests.support.cards import HOSTILE, card, names, nothing, write_pictures

SECTIONS = [
    "At a glance", "Classes", "Confused classes", "Sizes of objects", "Boundaries", "Calibration",
    "Distribution over images", "Worst images", "Best images", "Corruptions", "Attacks", "Learning curves", "Cost",
    "Data", "How it was measured",
]  # fmt: skip


def written(content: dict[str, Any], folder: Path) -> ElementTree.Element:
    """The page of a card, with its pictures, as a tree."""
    write_pictures(folder / "pictures", len(content.get("worst") or []))
    write_page(content, folder / "pictures", folder / "card.html")
    return ElementTree.fromstring((folder / "card.html").read_text("utf-8").removeprefix("<!DOCTYPE html>"))


def text(node: ElementTree.Element) -> str:
    return " ".join("".join(node.itertext()).split())


def head_of(tree: ElementTree.Element) -> ElementTree.Element:
    found = tree.find("body/header")
    assert found is not None
    return found


def section(tree: ElementTree.Element, title: str) -> ElementTree.Element:
    (found,) = [one for one in tree.iter("section") if one[0].text == title]
    return found


def rows(node: ElementTree.Element, caption: str) -> list[list[str]]:
    """Texts of the cells of the table whose caption begins so."""
    (table,) = [one for one in node.iter("table") if text(one[0]).startswith(caption)]
    return [[text(cell) for cell in row] for row in table.iter("tr")]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> ElementTree.Element:
    return written(card(names(11)), tmp_path_factory.mktemp("card"))


def test_there_is_every_section_in_its_order_and_each_says_how_to_read_it(page: ElementTree.Element) -> None:
    assert [one[0].text for one in page.iter("section")] == SECTIONS
    levels = [int(one.tag[1]) for one in page.iter() if re.fullmatch(r"h\d", one.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for one in list(page.iter("section"))[1:]:
        assert one[1].attrib["class"] == "about"
        assert 1 <= len(re.findall(r"\.(?: |$)", one[1].text or "")) <= 3, one[1].text


def test_the_head_shows_the_score_its_interval_and_what_was_scored(page: ElementTree.Element) -> None:
    # ten classes with scores, from 0.9 down by 0.8 / 11 each
    head = text(head_of(page))
    miou = sum(0.9 - 0.8 * k / 11 for k in range(10)) / 10
    assert f"{miou:.3f}mean IoU on the split val, 101 images" in head
    assert f"{miou - 0.02:.3f} to {miou + 0.02:.3f} is the 95 % interval" in head
    assert "7 groups of images, by one.png" in head
    assert "0.901pixel accuracy" in head
    assert "0.412boundary IoU" in head
    assert "0.379mean IoU under corruptions" in head
    assert "0.032mean IoU under attack: PGD at 8/255, 20 steps, 101 images" in head, "the strongest attack"
    assert "Fewer than 20 are too few: it is too narrow." in head


def test_observations_name_what_stands_out(page: ElementTree.Element) -> None:
    lines = [text(one) for one in section(page, "At a glance").iter("li")]
    assert lines[0] == "Weakest class: class 9 with an IoU of 0.245; strongest: class 0 with 0.900."
    assert lines[1].startswith("1 of the classes occur neither in labels nor in predictions")
    assert lines[2] == "Confused most: class 0 taken for class 1, 12.3 % of its pixels."
    assert lines[3] == (
        "Of the 11 classes with objects of both sizes, the mean IoU is 0.100 for objects below 1,024 pixels and 0.500 "
        "for those of 1,024 to 9,216."
    )
    assert "Confidences are too high: the best temperature is 1.370" in lines[4]
    assert "error (ECE) goes from 0.071 to 0.012." in lines[4]
    assert lines[5].startswith(
        "Under the 15 common corruptions the mean IoU is 0.379, against 0.573 on the same images"
    )
    assert lines[5].endswith("lowest under jpeg, 0.250.")
    assert lines[6] == "Under attack (PGD at 8/255, 20 steps, 101 images) the mean IoU is 0.032."
    assert lines[7].startswith("Failed checks of the attacks: 1 (one.png), so the scores under attack may be too good")


def glance(content: dict[str, Any], folder: Path) -> str:
    return text(section(written(content, folder), "At a glance"))


def test_the_scores_under_attack_stand_beside_those_of_the_same_images(tmp_path: Path) -> None:
    content = card(names(3))
    one = {"accuracy": 0.5, "classes": [], "sizes": [], "images": 10}
    content["robustness"]["attacks"] = {
        "clean": {"0": {**one, "miou": 0.212, "steps": 0}},
        "sea": {"2/255": {**one, "miou": 0.08, "steps": 5}},
        "worst": {"2/255": {**one, "miou": 0.072, "steps": 5}},
    }
    tree = written(content, tmp_path / "worst")
    assert (
        "Under attack (worst of the attacks tried within 2/255, at most 5 steps a run, 10 images) the mean IoU is "
        "0.072, against 0.212 on the same images as they are."
    ) in text(section(tree, "At a glance"))
    assert "10 images; 0.212 without" in text(head_of(tree))
    table = rows(section(tree, "Attacks"), "Scores under attack")
    assert [row[0] for row in table[1:]] == ["none (clean)", "sea", "worst of the attacks tried"]
    assert [row[5] for row in table[1:]] == [NONE, "3 x 5", NONE]
    del content["robustness"]["attacks"]["worst"]
    assert "(sea at 2/255, 3 x 5 steps, 10 images)" in glance(content, tmp_path / "sea")


def test_a_part_of_the_corruptions_is_named_at_a_glance(tmp_path: Path) -> None:
    content = card(names(3))
    kinds = {"fog": {"severities": [], "mean": 0.3}, "jpeg_noise": {"severities": [], "mean": 0.2}}
    content["robustness"] |= {"corruptions": kinds, "corruption_mean": None}
    assert "Under the 2 corruptions tried the mean IoU is 0.250" in glance(content, tmp_path)


def test_a_temperature_at_the_end_of_what_is_searched(tmp_path: Path) -> None:
    content = card(names(3))
    content["calibration"] |= {"temperature": 16.0}
    lines = text(section(written(content, tmp_path), "At a glance"))
    assert "the best temperature is 16.000, the end of what is searched, with which" in lines


def test_what_makes_a_score_look_better_or_surer_than_it_is_is_said(tmp_path: Path) -> None:
    content = card(names(3))
    content["model"]["path"] = "runs/first/checkpoints/best.ckpt"
    content["groups"] = {"by": "image", "count": 20}
    content["score"] |= {"boundary_f": None, "boundary_f_interval": None}
    content["calibration"] |= {"ece": 0.0021, "ece_after": 0.0019, "temperature": 1.01}
    content["data"]["splits"]["val"] = {"images": 30, "classes": {"class 0": {"images": 10}, "class 1": {"images": 9}}}
    content["split"] = "val"
    tree = written(content, tmp_path / "val")
    lines = text(section(tree, "At a glance"))
    assert "The score is optimistic: best.ckpt is the best of the run's validations" in lines
    assert "The score is optimistic: best.ckpt" in text(section(tree, "How it was measured"))
    assert "calibration error (ECE) stays 0.002." in lines
    assert "class 1 with an IoU of 0.633 (in so few images that this is not reliable); strongest" in lines
    assert f"{NONE}boundary F: no labelled pixel touches another class" in text(head_of(tree))
    assert "too narrow" not in text(head_of(tree))
    table = rows(section(tree, "Classes"), "Scores of the")
    assert table[1][2] == "0.633 \N{DAGGER}0.613 to 0.653"
    assert table[2][2] == "0.9000.880 to 0.920"
    assert [row[-1] for row in table[1:]] == ["33.3 %in 9", "50.0 %in 10", "16.7 %"]
    assert "Fewer than 10 images have the class" in text(section(tree, "Classes"))
    content["split"] = "test"
    assert "optimistic" not in glance(content, tmp_path / "test")


def test_a_size_is_not_compared_where_no_class_has_both(tmp_path: Path) -> None:
    content = card(names(3))
    content["sizes"]["classes"] = {"class 0": [0.2, 0.3, None], "class 1": [None, 0.5, 0.9], "class 2": [None] * 3}
    assert "both sizes" not in glance(content, tmp_path / "none")
    content["sizes"]["classes"]["class 2"] = [0.4, None, 0.6]
    expected = "Only class 2 has objects of both sizes: its IoU is 0.400 for objects below 1,024 pixels and 0.600"
    assert expected in glance(content, tmp_path / "one")


def test_the_largest_gap_says_how_many_pixels_it_is_from(tmp_path: Path) -> None:
    content = card(names(3))
    bins = [(4, 0.25, 0.45), (9_996, 0.9, 0.8), (90_000, 0.99, 0.95), (0, None, None)]
    content["calibration"]["bins"] = [
        {"from": k / 4, "to": (k + 1) / 4, "pixels": pixels, "confidence": confidence, "accuracy": accuracy}
        for k, (pixels, confidence, accuracy) in enumerate(bins)
    ]
    table = rows(section(written(content, tmp_path), "Calibration"), "Calibration, before")
    assert table[3][:2] == ["pixels in that bin", "4"]
    assert table[4][:2] == ["largest gap of bins with at least 1.0 % of the pixels", "0.1000"]


def test_classes_are_sorted_upwards_and_those_without_a_score_are_last(page: ElementTree.Element) -> None:
    table = rows(section(page, "Classes"), "Scores of the")
    assert table[0] == ["class", "IoU, 0 to 1", "IoU", "F1", "precision", "recall", "boundary IoU", "of pixels"]
    assert [row[0] for row in table[1:]] == [f"class {k}" for k in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10)]
    assert table[10][2:] == [
        "0.9000.880 to 0.920", "0.8900.870 to 0.910", "0.8800.860 to 0.900", "0.8700.850 to 0.890",
        "0.8600.840 to 0.880", "16.7 %",
    ]  # fmt: skip
    assert table[11][2:] == [NONE] * 5 + ["1.5 %"]


def test_tables_have_the_values_of_the_card(page: ElementTree.Element) -> None:
    confused = rows(section(page, "Confused classes"), "The most")
    assert confused[1] == ["class 0", "class 1", "", "12.3 %", "12,345"]
    sized = rows(section(page, "Sizes of objects"), "Scores by")
    assert [row[0] for row in sized[1:]] == ["below 1,024", "1,024 to 9,216", "9,216 and more"]
    assert sized[1][2:] == ["0.200", "0.250", "100"]
    assert rows(section(page, "Sizes of objects"), "IoU of each class")[1] == [
        "class 0",
        "0.100",
        "0.500",
        NONE,
    ]
    gaps = rows(section(page, "Boundaries"), "The 10 classes")
    assert gaps[1][2] == "0.040"
    calibrated = rows(section(page, "Calibration"), "Calibration, before")
    assert calibrated[1:] == [
        ["calibration error (ECE)", "0.0712", "0.0123"],
        ["largest gap of a bin (MCE)", "0.1345", "0.0456"],
        ["pixels in that bin", "9,000", "9,000"],
        ["largest gap of bins with at least 1.0 % of the pixels", "0.0950", "0.0000"],
        ["temperature", "1.000", "1.370"],
    ]
    assert "by a low confidence: 0.457" in text(section(page, "Calibration"))
    quantiles = rows(section(page, "Distribution over images"), "Quantiles")
    assert ["5 % are below", "0.300"] in quantiles
    assert ["median", "0.612"] in quantiles
    costs = text(section(page, "Cost"))
    for value in ("4.65 M", "3.21 G", "360 x 480", "41.2 ms"):
        assert value in costs
    splits = rows(section(page, "Data"), "Splits")
    assert splits[1] == ["train", "367", "3.4 %", "360 x 480"]
    assert "Kinds of mistake: 0, kinds of hint: 1." in text(section(page, "Data"))


def test_robustness_has_a_heat_map_attacks_and_checks(page: ElementTree.Element) -> None:
    corrupted = section(page, "Corruptions")
    table = rows(corrupted, "Mean IoU by kind")
    assert table[0] == ["corruption", "1", "2", "3", "4", "5", "mean"]
    assert table[1] == ["jpeg", "0.600", "0.500", "0.400", "0.300", "0.200", "0.250"], "the lowest mean first"
    assert table[-1] == ["one.png", "0.610", "0.500", NONE, NONE, NONE, "0.555"], "severities that were not tried"
    cells = [cell.attrib.get("class") for cell in corrupted.iter("td")][:5]
    assert cells == ["heat-6", "heat-5", "heat-4", "heat-3", "heat-2"]
    assert ["scale 0.5", "", "70.0 %"] in rows(corrupted, "Pixels with the same label")
    attacked = section(page, "Attacks")
    assert rows(attacked, "Scores under attack")[2] == ["PGD", "8/255", "", "0.032", "0.132", "20", "101"]
    by_class = rows(attacked, "IoU of the classes")
    assert by_class[0] == ["class", "clean", "PGD 4/255", "PGD 8/255", "one.png 4/255"]
    assert by_class[1] == ["class 0", "0.900", "0.110", "0.032", "0.090"]
    assert rows(attacked, "IoU by the area")[1] == ["below 1,024", "0.200", "0.022", "0.006", "0.018"]
    checks = rows(attacked, "Checks for")
    assert [row[1] for row in checks[1:]] == ["passed", "failed"]


def test_the_clean_row_of_the_attacked_images_stands_for_the_clean_score(tmp_path: Path) -> None:
    content = card(names(3))
    clean = {
        "miou": 0.77,
        "accuracy": 0.9,
        "classes": [0.7, 0.8, None],
        "sizes": [0.1, 0.2, 0.3],
        "steps": 0,
        "images": 8,
    }
    content["robustness"]["attacks"] = {"clean": {"0": clean}, **content["robustness"]["attacks"]}
    tree = written(content, tmp_path)
    assert rows(section(tree, "Attacks"), "IoU of the classes")[0][1:3] == ["clean", "PGD 4/255"]
    assert rows(section(tree, "Attacks"), "IoU of the classes")[1][1] == "0.700"
    assert "0.032mean IoU under attack: PGD at 8/255, 20 steps, 101 images; 0.770 without" in text(tree)


def test_another_net_can_be_the_reference(tmp_path: Path) -> None:
    content = card(names(3))
    content["robustness"]["relative"] = {
        "reference": "cards/plain", "cd": {"fog": 0.9}, "mean_cd": 0.9, "relative_cd": {"fog": None},
        "mean_relative_cd": None,
    }  # fmt: skip
    assert rows(section(written(content, tmp_path), "Corruptions"), "What is lost")[1] == [
        "fog",
        "0.900",
        NONE,
    ]


def test_charts_and_pictures_have_texts(page: ElementTree.Element) -> None:
    assert len(list(section(page, "Calibration").iter("figure"))) == 2
    titles = [text(one) for one in section(page, "Learning curves").iter("figcaption")]
    assert titles == ["Loss", "Scores on val", "IoU of the 8 classes that end lowest"]
    assert "Also logged, and in card.json: other/one.png." in text(section(page, "Learning curves"))
    pictures = list(page.iter("img"))
    assert len(pictures) == 4
    for one in pictures:
        assert one.attrib["src"].startswith("data:image/")
        assert one.attrib["alt"]
    drawings = [one for one in page.iter("svg") if one.attrib.get("aria-hidden") != "true"]
    assert drawings
    assert all(one.attrib["role"] == "img" and one.attrib["aria-label"] for one in drawings)


def test_tables_have_headers_for_rows_and_columns(page: ElementTree.Element) -> None:
    for table in page.iter("table"):
        assert table[0].tag == "caption"
        width = {len(row) for row in table.iter("tr")}
        assert len(width) == 1
        assert all(cell.attrib.get("scope") == "col" for cell in next(table.iter("tr")))
        assert all(row[0].attrib.get("scope") == "row" for row in list(table.iter("tr"))[1:])


def test_what_is_null_is_said_to_be_unknown(tmp_path: Path) -> None:
    tree = written(nothing(names(3)), tmp_path)
    assert [one[0].text for one in tree.iter("section")] == SECTIONS
    for title, words in (
        ("Classes", "There are no scores of classes."),
        ("Sizes of objects", "Sizes of objects were not measured."),
        ("Calibration", "Calibration was not measured."),
        ("Worst images", "There are no pictures."),
        ("Corruptions", "Not tried. Write the card with --robustness to try it."),
        ("Attacks", "Not tried. Write the card with --robustness to try it."),
        ("Learning curves", "its curves are not known"),
        ("Cost", "The cost of the net was not measured."),
        ("Data", "The data set was not surveyed."),
    ):
        assert words in text(section(tree, title)), title
    assert "nan" not in text(tree).lower()
    assert "None" not in text(tree)


def test_scores_that_are_null_are_dashes(tmp_path: Path) -> None:
    content = card(names(3))
    content["score"] = dict.fromkeys(content["score"])
    content["calibration"] |= {"temperature": None, "ece_after": None, "mce_after": None, "bins_after": []}
    content["cost"]["latency_ms"] = None
    content["robustness"]["gradient_masking"] = None
    content["robustness"]["corruption_mean"] = None
    content["cost"]["multiply_adds"] = None
    tree = written(content, tmp_path)
    assert "if each of the 15 common ones was tried" in text(section(tree, "Corruptions"))
    assert text(head_of(tree)).count(NONE) >= 4
    assert rows(section(tree, "Calibration"), "Calibration, before")[-1] == ["temperature", "1.000", NONE]
    assert "This was not checked" in text(section(tree, "Attacks"))
    assert "None" not in text(tree)


@pytest.mark.parametrize(
    ("latency", "shown"), [(41.23, "41.2 ms"), (0.5, "0.5 ms"), (1789.6, "1,790 ms"), (None, NONE)]
)
def test_a_latency_is_in_milliseconds(latency: float | None, shown: str, tmp_path: Path) -> None:
    content = card(names(3))
    content["cost"]["latency_ms"] = latency
    assert f"Latency{shown}" in text(section(written(content, tmp_path), "Cost"))


def test_many_classes_scroll_in_their_box(tmp_path: Path) -> None:
    tree = written(card(names(150)), tmp_path)
    boxes = [one for one in section(tree, "Classes").iter("div") if "scroll" in one.attrib.get("class", "")]
    assert [one.attrib["class"] for one in boxes] == ["scroll tall"]
    assert len(rows(section(tree, "Classes"), "Scores of the")) == 151 > TALL
    curve = list(section(tree, "Learning curves").iter("figure"))[-1]
    assert len(list(curve.iter("polyline"))) == 8
    assert (tmp_path / "card.html").stat().st_size < 1_000_000


def test_a_picture_that_is_missing_or_elsewhere_is_said_to_be_missing(tmp_path: Path) -> None:
    content = card(names(3))
    (tmp_path / "secret.png").write_bytes(b"secret")
    content["worst"][0]["picture"] = "../secret.png"
    content["worst"][1]["picture"] = None
    tree = written(content, tmp_path)
    assert text(section(tree, "Worst images")).count("The picture is missing.") == 2


def shape(node: ElementTree.Element) -> list[Any]:
    """Tags and names of attributes, without what a name's length and order of keys change."""
    attributes = sorted(set(node.attrib) - {"title"})
    return [node.tag, attributes, [shape(child) for child in node]]


def test_names_that_mean_harm_change_no_element(tmp_path: Path) -> None:
    plain = written(card(names(len(HOSTILE)), [f"image {k}" for k in range(len(HOSTILE))]), tmp_path / "plain")
    hostile = written(card(HOSTILE, HOSTILE), tmp_path / "hostile")
    assert {one.tag for one in hostile.iter()} == {one.tag for one in plain.iter()}
    assert not [name for one in hostile.iter() for name in one.attrib if name.startswith("on") or name == "style"]
    for title in SECTIONS:
        if title not in ("Corruptions", "Learning curves", "Data", "Attacks"):  # their names are keys, which are sorted
            assert shape(section(hostile, title)) == shape(section(plain, title)), title
    shown = text(hostile)
    assert "<script>window.hacked=1</script>" in shown
    assert not set("\u202e\u2066\u2028\x00\x1b") & set(shown)


def test_the_page_refers_to_nothing_elsewhere(tmp_path: Path) -> None:
    tree = written(card(HOSTILE, HOSTILE), tmp_path)
    for one in tree.iter():
        for key, value in one.attrib.items():
            if key == "src":
                assert value.startswith("data:image/")
            if key == "href":
                assert value.startswith("#s-")
        assert one.tag not in ("script", "link", "iframe", "object", "embed", "base", "form", "a") or one.tag == "a"


@pytest.mark.parametrize(
    ("radius", "shown"), [("0.0157", "4/255"), ("0.03137", "8/255"), ("4/255", "4/255"), ("0.5", "0.5"), ("0.3", "0.3")]
)
def test_a_radius_is_shown_as_it_is_known(radius: str, shown: str) -> None:
    assert radius_text(radius) == shown
