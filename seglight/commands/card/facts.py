"""What a card says about the net, its costs and its data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from seglight.checkpoints.checkpoint import weights_checksum
from seglight.checkpoints.model_card import ModelCard
from seglight.commands.doctor.command import examine_all
from seglight.commands.doctor.report import as_dict
from seglight.commands.doctor.scan import survey
from seglight.commands.doctor.statistics import statistics
from seglight.data import SegmentationDataModule
from seglight.models.costs import inference_costs
from seglight.ops.sizes import DIVISOR, round_up

FILES = 5
"""Largest number of files that are named for a finding."""


def model_facts(path: str, net: nn.Module, card: ModelCard) -> dict[str, Any]:
    """The part `model` of a card.

    Args:
        path: Path of the checkpoint or the released folder.
        net: The net.
        card: Its model card.
    """
    arguments = card.net.get("init_args") or {}
    return {
        "path": path,
        "checksum": weights_checksum(net.state_dict()),
        "net": _short(card.net),
        "encoder": _short(arguments.get("encoder")),
        "decoder": _short(arguments.get("decoder")),
    }


def _short(described: Any) -> str | None:
    """Name of a class, and the `name` that it was given, if any; None if nothing is described."""
    if not isinstance(described, Mapping) or "class_path" not in described:
        return None
    name = (described.get("init_args") or {}).get("name")
    return " ".join(str(word) for word in (described["class_path"].rpartition(".")[2], name) if word)


def cost_of(net: nn.Module, sizes: Sequence[tuple[int, int]], device: torch.device) -> dict[str, Any]:
    """The part `cost` of a card: of an image of the most frequent size, padded as the net sees it.

    Args:
        net: The net.
        sizes: Height and width of each image of the split.
        device: Device on which the latency is measured.
    """
    height, width = Counter(sizes).most_common(1)[0][0]
    size = (round_up(height, DIVISOR), round_up(width, DIVISOR))
    costs = inference_costs(deepcopy(net), size, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {
        "parameters": costs.parameters,
        "multiply_adds": costs.multiply_adds,
        "image_size": list(size),
        "latency_ms": None if costs.seconds is None else 1000 * costs.seconds,
        "device": f"{device.type} ({name})",
    }


def data_facts(data: SegmentationDataModule) -> dict[str, Any]:
    """The part `data` of a card: the doctor's report on all splits, with a few files for each finding.

    Raises:
        UserError: A process that read files was killed.
    """
    found = survey(data)
    numbers = {name: statistics(facts, found.tables[name]) for name, facts in found.splits.items()}
    report = as_dict(found.names, numbers, examine_all(data, found, numbers, None), None)
    report["findings"] = [_shortened(finding) for finding in report["findings"]]
    return {key: report[key] for key in ("mistakes", "hints", "findings", "splits")}


def _shortened(finding: dict[str, Any]) -> dict[str, Any]:
    return {**finding, "files": finding["files"][:FILES]}
