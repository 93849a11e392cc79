"""CVAT's own driver of functions that annotate a task, without its server."""

import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cvat_sdk import auto_annotation, models
from cvat_sdk.auto_annotation import driver
from PIL import Image


def annotated(
    function: Any, images: Sequence[Image.Image], labels: Mapping[str, int], first: int = 0, **options: Any
) -> list[Any]:
    """Shapes that the driver sends to its server for a task.

    Args:
        function: Function that annotates.
        images: Frames of the task, named "N.png" by their numbers.
        labels: Ids of the task's labels by name.
        first: Number of the first frame.
        **options: Options of `annotate_task`.
    """
    frames = [
        SimpleNamespace(frame_index=number, frame_name=f"{number}.png", media=SimpleNamespace(load_image=image.copy))
        for number, image in enumerate(images, first)
    ]
    of_task = [models.Label(name=name, id=key, type="any", attributes=[], sublabels=[]) for name, key in labels.items()]
    sent: list[Any] = []
    api = SimpleNamespace(
        partial_update_annotations=lambda *_, patched_labeled_data_request: sent.append(patched_labeled_data_request)
    )
    client: Any = SimpleNamespace(logger=logging.getLogger("cvat"), tasks=SimpleNamespace(api=api))
    with patch.object(driver, "TaskDataset", lambda *_, **__: SimpleNamespace(labels=of_task, samples=frames)):
        auto_annotation.annotate_task(client, 1, function, **options)
    return list(sent[0].shapes)
