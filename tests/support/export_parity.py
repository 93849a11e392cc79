"""Writers of exported files, and what their nets give in torch."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from seglight.commands.export.onnx import write_onnx
from seglight.commands.export.openvino import openvino_model, write_openvino
from seglight.commands.export.torch_program import write_torch_program
from seglight.interfaces import seg_output


@torch.no_grad()
def expected(net: nn.Module, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Padded as an image editor does it, torch's own interpolation, argmax: labels and probabilities."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="edge")
    logits = seg_output(net(torch.from_numpy(padded).permute(2, 0, 1)[None])).logits
    full = F.interpolate(logits, padded.shape[:2], mode="bilinear", align_corners=False)[0, :, :height, :width]
    return full.argmax(0).byte().numpy(), full.softmax(0).numpy()


WRITERS: dict[str, Callable[..., None]] = {
    "model.onnx": write_onnx,
    "model.xml": lambda program, metadata, path: write_openvino(
        openvino_model(program, metadata, path.with_name("scratch.onnx")), metadata, path
    ),
    "model.pt2": write_torch_program,
}
