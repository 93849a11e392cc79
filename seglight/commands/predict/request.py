"""What `predict` is asked for, and what came of it: plain values, which a job on another machine reads and writes."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """The options of the command that apply to every input.

    Args:
        models: Checkpoint, released folder or exported file; or several checkpoints.
        out: Output folder.
        save: Kinds of outputs beside the label maps.
        batch: Number of images that are passed to the net together.
        max_memory: Memory limit as it was given, or None for no limit.
        limit: The same in bytes.
        device: "cpu", "cuda", ..., or "auto".
        trust: Further packages whose classes a checkpoint may name.
    """

    models: Sequence[str]
    out: str
    save: Sequence[str]
    batch: int
    max_memory: str | None
    limit: int | None
    device: str
    trust: Sequence[str]


@dataclass(frozen=True)
class Outcome:
    """What came of some inputs.

    Args:
        class_names: Names of the classes, by index.
        done: Number of label maps that exist.
        written: Number of those that this command has written.
        failures: Inputs and outputs that failed, one line each.
        left_out: What is missing in tables, one line each.
        videos: Videos that were not written, one line each.
        note: What the user should know about the outputs, one line; empty if there is nothing.
    """

    class_names: Sequence[str]
    done: int
    written: int
    failures: Sequence[str]
    left_out: Sequence[str]
    videos: Sequence[str]
    note: str = ""
