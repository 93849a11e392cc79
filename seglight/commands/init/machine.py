"""The device that a recipe is made for."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from seglight.commands.init.facts import Machine
from seglight.errors import UserError
from seglight.system.cores import usable_cores

RAM_SHARE = 0.8
"""Fraction of the machine's memory that a training may use unless --memory is given."""

GPU_SHARE = 0.9
"""Fraction of a GPU's memory that a training may use unless --memory is given."""

GPUS = ("gpu", "cuda")
"""Values of --device that mean a GPU."""

DEVICES = ("auto", "cpu", *GPUS)
"""Values of --device."""


def machine(device: str, memory: int | None) -> Machine:
    """Describe the device that trains.

    Args:
        device: "auto", "cpu", or "gpu" or "cuda"; "auto" takes a GPU if there is one.
        memory: Bytes that a training may use; None: most of the device's.

    Raises:
        UserError: There is no such device.
    """
    there = torch.cuda.is_available()
    if device not in DEVICES:
        others = "; which GPU it is, CUDA_VISIBLE_DEVICES chooses" if device.startswith(("cuda:", "gpu:")) else ""
        raise UserError(f"--device {device}: give one of {', '.join(DEVICES)}{others}")
    if device in GPUS and not there:
        raise UserError(
            f"--device {device}: torch finds no CUDA device on this machine: leave it out, or give --device cpu"
        )
    threads = torch.get_num_threads()
    if device == "cpu" or not there:
        return Machine("cpu", _processor(), memory or int(RAM_SHARE * _ram()), threads, usable_cores())
    properties = torch.cuda.get_device_properties(0)
    half = "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return Machine(
        "gpu", properties.name, memory or int(GPU_SHARE * properties.total_memory), threads, usable_cores(), half
    )


def versions() -> dict[str, str]:
    """Versions of the libraries on which the time of a step depends."""
    return {name: version(name) for name in ("torch", "lightning", "timm")}


def _ram() -> int:
    """Bytes of memory of this machine, or of the container that this process is in."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
