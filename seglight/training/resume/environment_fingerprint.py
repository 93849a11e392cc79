"""The environment that a run's results depend on to the last digit, beside its recipe."""

from typing import Any

import torch


def environment_fingerprint(data: Any, device: torch.device) -> dict[str, Any]:
    """Describe the environment of a run: images of each split, threads, and the device.

    Args:
        data: SegmentationDataModule that is set up.
        device: Device of the net.
    """
    images = {f"{name} images": len(split) for name, split in data.splits.items()}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return images | {"threads": torch.get_num_threads(), "device": name}


def describe_changes(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Describe in one line how the environment of a run has changed.

    Args:
        before: Fingerprint at the time of saving.
        now: Present fingerprint.

    Returns:
        None if nothing has changed.
    """
    changed = [f"{name} {before.get(name, '-')} -> {value}" for name, value in now.items() if before.get(name) != value]
    return f"the run may not continue to the last digit: {', '.join(changed)}" if changed else None
