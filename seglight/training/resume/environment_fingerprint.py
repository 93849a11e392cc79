"""What a run depends on, to the last digit, beside its recipe."""

from typing import Any

import torch


def surroundings(data: Any, device: torch.device) -> dict[str, Any]:
    """Images of each split, threads, and the device that a run is on.

    Args:
        data: A SegmentationDataModule that is set up.
        device: That of the net.
    """
    images = {f"{name} images": len(split) for name, split in data.splits.items()}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return images | {"threads": torch.get_num_threads(), "device": name}


def moved_to(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """What has changed since a run was saved, in a line; None where nothing has."""
    changed = [f"{name} {before.get(name, '-')} -> {value}" for name, value in now.items() if before.get(name) != value]
    return f"the run may not go on to the last digit: {', '.join(changed)}" if changed else None
