"""The README.md of a released net: its model card as Markdown, with the front matter that hubs read."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from seglight.checkpoints.model_card import ModelCard, Normalisation
from seglight.checkpoints.temperature import calibration_note
from seglight.errors import terminal
from seglight.metrics.confusion_content import matrix_of
from seglight.metrics.extremes import WHOLE, extremes, extremes_line
from seglight.ops.label_types import label_type
from seglight.system.escaping import markdown

TEXT = """---
library_name: seglight
pipeline_tag: image-segmentation
---
# {title}

Semantic segmentation: {images} of any size to label maps of {classes} classes at the image's size.
{parameters:,} parameters, trained for {steps} optimizer steps{how}, released with seglight {version}.

```python
import seglight

net = seglight.load({quoted})
labels = net.predict("{file}")  # {labels} (H, W)
```

or

```
seglight predict {word} IMAGES --out masks
```

Nothing in this folder is run when it is loaded, and its checksums are verified.

## Scores

{scores}

| index | class | colour | IoU | F1 | recall | precision | % of pixels |
| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |
{table}

## Data

{data}

## Preprocessing

None: the net takes {pixels} and normalises itself{normalisation}.

## To be written by who passes it on

Licences of the weights and of the data, what the net is meant for, and where it is known to fail.
"""

UNSCORED = (
    "Not known. `seglight test -c RUN/config.yaml --ckpt_path CHECKPOINT --run_dir RUN` scores the checkpoint; "
    "released after that, its scores stand here."
)


def readme(card: ModelCard, name: str) -> str:
    """Markdown text of a release.

    Args:
        card: Model card of the release, with the number of its parameters.
        name: Name of the folder.
    """
    origin = card.provenance
    return TEXT.format(
        title=_title(card.net),
        classes=card.num_classes,
        labels=label_type(card.num_classes),
        parameters=origin.parameters,
        steps=f"{origin.step:,}" if origin.step else "an unknown number of",  # 0: of a soup
        how=_training(origin.optimizer, origin.loss),
        version=origin.version,
        quoted=terminal(json.dumps(name, ensure_ascii=False)),
        word=shlex.quote(terminal(name)),
        scores=UNSCORED if origin.scores is None else _summary(origin.scores),
        table=_table(card),
        data="Not known." if origin.data is None else _data(origin.data),
        images="RGB images" if card.image is None else f"images with {markdown(card.image.line())}",
        file="image.jpg" if card.image is None else "image.tif",
        pixels="uint8 RGB" if card.image is None else markdown(card.image.line()),
        normalisation="".join(_normalisation(entry) for entry in card.normalisation or ()),
    ) + calibration_note(card)


def _training(*class_paths: str | None) -> str:
    names = [markdown(_short(class_path)) for class_path in class_paths if class_path]
    return f" with {' and '.join(names)}" if names else ""


def _title(net: dict[str, Any]) -> str:
    """Class names of a net and its parts: `EncoderDecoder (TimmEncoder resnet50, UPerNet)`."""
    parts = []
    for part in net.get("init_args", {}).values():
        if isinstance(part, dict) and "class_path" in part:
            name = part.get("init_args", {}).get("name")
            parts.append(" ".join(markdown(str(word)) for word in (_short(part["class_path"]), name) if word))
    return markdown(_short(net["class_path"])) + (f" ({', '.join(parts)})" if parts else "")


def _short(class_path: str) -> str:
    return class_path.rpartition(".")[2]


def _summary(scores: dict[str, Any]) -> str:
    low, high = scores["miou_interval"] or (None, None)
    interval = "" if low is None else f" (95 % interval over images: {low:.4f} to {high:.4f})"
    split, protocol = markdown(str(scores["split"])), markdown(str(scores["protocol"]))
    return (
        f"On the {split} split, {scores['images']} images: **miou {_number(scores['miou'])}**{interval}, "
        f"accuracy {_number(scores['accuracy'])}.\n\nProtocol: {protocol}."
    )


def _table(card: ModelCard) -> str:
    """Rows of the table of classes: all, or those of the lowest and highest IoU."""
    scores = card.provenance.scores
    ious = [None if scores is None else scores["iou"][name] for name in card.class_names]
    pixels = [] if scores is None else matrix_of(scores["confusion"]).sum(1).tolist()
    shown = extremes(ious) if scores is not None else list(range(card.num_classes))[:WHOLE]
    rows = [_row(index, card, pixels) for index in shown]
    if len(shown) < card.num_classes:
        first = f"The first {WHOLE} of {card.num_classes} classes are shown."
        left_out = first if scores is None else extremes_line(card.num_classes, "IoU")
        rows.append(f"\n{left_out} `release.json` names all.")
    return "\n".join(rows)


def _row(index: int, card: ModelCard, pixels: Sequence[int]) -> str:
    name = card.class_names[index]
    scores = card.provenance.scores
    cells = ["-"] * 5
    if scores is not None:
        cells = [_number(scores[key][name]) for key in ("iou", "f1", "recall", "precision")]
        cells.append(f"{100 * pixels[index] / max(sum(pixels), 1):.2f}")
    red, green, blue = card.palette[index]
    return f"| {index} | {markdown(name)} | #{red:02x}{green:02x}{blue:02x} | {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _data(data: dict[str, Any]) -> str:
    split = markdown(str(data["split"]))
    return (
        f"Fingerprint of the {split} split that was scored: SHA-256 `{data['sha256']}`, over a line for each "
        f"of its {data['images']} images: file name, and labelled pixels of each class, separated by tabs."
    )


def _normalisation(entry: Normalisation) -> str:
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (entry.mean, entry.std))
    return f"; in [0, 1] by mean ({mean}) and deviation ({std})"
