"""Content of card.json, made up: every key, with any class names and file names."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seglight.commands.card.pictures import error_picture

HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "' onmouseover='window.hacked=1' x='",
    "javascript:window.hacked=1",
    "</style><script>window.hacked=1</script>",
    "</title></head><body onload=window.hacked=1>",
    "<!-- <svg onload=window.hacked=1>",
    "]]><iframe src=http://192.0.2.1/>",
    "&lt;b&gt;&#60;script&#62;",
    "\u202egnp.exe\u2066",
    "line\r\nend\u2028\u0085",
    "w" * 5000,
    "url(http://192.0.2.1/x) expression(1)",
    "//192.0.2.1/a.png",
    "byte \udcff, \x1b[31m, \x00",
    "",
)
"""Names that would act in a page that does not escape them."""

KINDS = ("gaussian_noise", "motion_blur", "fog", "jpeg")


def names(number: int) -> list[str]:
    """Names that act nowhere."""
    return [f"class {k}" for k in range(number)]


def bounds(value: float) -> list[float]:
    """An interval around a score."""
    return [max(0.0, value - 0.02), min(1.0, value + 0.02)]


def card(class_names: Sequence[str], image_names: Sequence[str] = ("one.png", "two.png")) -> dict[str, Any]:
    """A card with every key.

    Args:
        class_names: Names of the classes, of which the last one has no scores.
        image_names: Names of the worst and best images, and of everything else that is named by a user.
    """
    number = len(class_names)
    palette = [[(37 * k + 20) % 256, (91 * k + 60) % 256, (151 * k + 130) % 256] for k in range(number)]
    first, last = image_names[0], image_names[-1]
    classes = [_class(label, k, number) for k, label in enumerate(class_names)]
    known = [one["iou"] for one in classes if one["iou"] is not None]
    miou = sum(known) / len(known)
    picked = [
        {"name": label, "miou": 0.2 + 0.01 * k, "picture": f"pictures/{k}.png", "errors": _pairs(class_names)[:2]}
        for k, label in enumerate(image_names)
    ]
    edges = [0, 1024, 9216, None]
    sized = [
        {"from": low, "to": high, "objects": 100 - 30 * k, "iou": 0.2 + 0.3 * k, "recall": 0.25 + 0.3 * k}
        for k, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    return {
        "seglight": "0.1.0",
        "date": "2026-11-30",
        "model": {"path": f"runs/{first}", "checksum": "0123456789abcdef" * 4, "net": "Net", "decoder": last},
        "recipe": f"configs/{last}.yaml",
        "split": "val",
        "protocol": "one int64 confusion matrix over the whole split",
        "images": 101,
        "class_names": list(class_names),
        "palette": palette,
        "groups": {"by": first, "count": 7},
        "score": {
            "miou": miou, "miou_interval": bounds(miou), "accuracy": 0.9012, "accuracy_interval": bounds(0.9012),
            "fwiou": 0.83, "boundary_iou": 0.4123, "boundary_iou_interval": bounds(0.4123), "boundary_f": 0.5234,
            "boundary_f_interval": bounds(0.5234),
        },
        "classes": classes,
        "confusions": _pairs(class_names),
        "sizes": {
            "definition": "8-connected components of each class",
            "bins": sized,
            "classes": {label: [0.1, 0.5, None] for label in class_names},
        },
        "calibration": _calibration(),
        "distribution": {
            "quantiles": {"0": 0.21, "5": 0.3, "25": 0.5, "50": 0.6123, "75": 0.7, "95": 0.8, "100": 0.9},
            "bins": [{"from": k / 10, "to": (k + 1) / 10, "images": max(0, 20 - abs(k - 6) * 6)} for k in range(10)],
        },
        "worst": picked,
        "best": picked[::-1],
        "curves": {
            "train/loss": [[k, 2 / (1 + k / 100)] for k in range(1200)],
            "val/loss": [[k, 1.2 / (1 + k / 300) + 0.2] for k in range(0, 1200, 100)],
            "val/miou": [[k, 0.7 - 0.6 / (1 + k / 100)] for k in range(0, 1200, 100)],
            **{f"val/iou/{label}": [[k, min(0.9, k / 1200 + 0.01 * n)] for k in range(0, 1200, 100)]
               for n, label in enumerate(class_names)},
            f"other/{first}": [[0, 1.0]],
        },
        "cost": {
            "parameters": 4_650_000, "multiply_adds": 3_210_000_000, "image_size": [360, 480], "latency_ms": 41.2,
            "device": f"cpu {last}",
        },
        "data": _data(class_names, last),
        "robustness": _robustness(class_names, sized, first),
    }  # fmt: skip


def nothing(class_names: Sequence[str]) -> dict[str, Any]:
    """A card in which every value that may be null is null."""
    full = card(class_names)
    kept = {"seglight", "date", "split", "class_names", "palette"}
    return {key: value if key in kept else None for key, value in full.items()}


def write_pictures(folder: Path, number: int) -> None:
    """Write the pictures that `card` names."""
    folder.mkdir(parents=True)
    for k in range(number):
        image = np.full((60, 80, 3), 90 + k, np.uint8)
        mask = np.zeros((60, 80), np.uint8)
        mask[20:40, 30:60] = 1
        prediction = np.roll(mask, 7, 1)
        sheet = error_picture(image, mask, prediction, [(10, 20, 30), (200, 100, 50)], ["a", "b"], 255)
        Image.fromarray(sheet).save(folder / f"{k}.png")


def _class(label: str, k: int, number: int) -> dict[str, Any]:
    """Scores of a class; the later ones are lower, and the last one has none."""
    made: dict[str, Any] = {
        "name": label,
        "pixels": 10_000 * (number - k),
        "share": 2 * (number - k) / number / (number + 1),
    }
    for place, key in enumerate(("iou", "f1", "precision", "recall", "boundary_iou")):
        value = None if k == number - 1 else round(0.9 - 0.8 * k / number - 0.01 * place, 4)
        made[key] = value
        made[f"{key}_interval"] = None if value is None else bounds(value)
    return made


def _pairs(class_names: Sequence[str]) -> list[dict[str, Any]]:
    following = [*class_names[1:], class_names[0]]
    pairs = zip(class_names, following, strict=True)
    return [
        {"true": true, "predicted": other, "pixels": 12_345 - 500 * k, "share_of_true": 0.1234 / (k + 1)}
        for k, (true, other) in enumerate(pairs)
    ][:20]


def _calibration() -> dict[str, Any]:
    def bins(slope: float) -> list[dict[str, Any]]:
        return [
            {"from": k / 10, "to": (k + 1) / 10, "pixels": 1000 * k, "confidence": (k + 0.5) / 10 if k else None,
             "accuracy": slope * (k + 0.5) / 10 if k else None}
            for k in range(10)
        ]  # fmt: skip

    return {
        "ece": 0.0712, "mce": 0.1345, "temperature": 1.37, "ece_after": 0.0123, "mce_after": 0.0456,
        "error_detection_ap": 0.4567, "bins": bins(0.9), "bins_after": bins(1.0),
    }  # fmt: skip


def _data(class_names: Sequence[str], split: str) -> dict[str, Any]:
    def one(images: int) -> dict[str, Any]:
        return {
            "images": images,
            "masks_counted": images,
            "ignored_share": 0.034,
            "classes": {label: {"pixels": 1000 + k, "images": images - k} for k, label in enumerate(class_names)},
            "sizes": [{"height": 360, "width": 480, "images": images}],
        }

    finding = {"level": "hint", "slug": "same-image", "split": split, "what": f"the same image in {split}", "note": ""}
    return {"mistakes": 0, "hints": 1, "findings": [finding], "splits": {"train": one(367), split: one(101)}}


def _robustness(class_names: Sequence[str], sized: Sequence[dict[str, Any]], named: str) -> dict[str, Any]:
    kinds = {kind: {"severities": [0.6, 0.5, 0.4, 0.3, 0.2], "mean": 0.4 - 0.05 * k} for k, kind in enumerate(KINDS)}
    kinds[named] = {"severities": [0.61, 0.5], "mean": 0.555}

    def under(miou: float) -> dict[str, Any]:
        by_size = [miou * one["iou"] for one in sized]
        by_class = [miou] * len(class_names)
        accuracy = miou + 0.1
        return {"miou": miou, "accuracy": accuracy, "classes": by_class, "sizes": by_size, "steps": 20, "images": 101}

    return {
        "corruptions": kinds,
        "corruption_mean": 0.3789,
        "relative": None,
        "consistency": {"flip": 0.91, "scale": {"0.5": 0.7, named: 0.8}},
        "attacks": {
            "PGD": {"0.0157": under(0.11), "0.0314": under(0.0321)},
            named: {"4/255": under(0.09)},
        },
        "gradient_masking": {
            "checks": [
                {"name": "random restarts", "passed": True, "detail": "0.110 and 0.109"},
                {"name": named, "passed": False, "detail": named},
            ]
        },
    }
