"""One image at a time on two threads of a CPU: a net run by torch, by ONNX Runtime and by OpenVINO, in float and int8.

The peer is the same net of segmentation_models.pytorch with the same weights, run by torch as in its manual:
normalised, padded, argmax of its logits. Labels are compared first. Then the sides alternate, from uint8 pixels
to labels, and from the bytes of a JPEG to those of a label PNG. int8 is calibrated on drawn photographs.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from benchmarks._record import Parser, write_record
from benchmarks._street import scene
from seglight.checkpoints.model_card import ModelCard
from seglight.commands.export.writing import export
from seglight.data.classes import voc_color
from seglight.images.draw import palette_image
from seglight.inference.exported.runtimes import load_exported
from seglight.inference.torch_predictor import TorchPredictor
from seglight.models import EncoderDecoder, TimmEncoder, import_weights
from seglight.models.decoders import UNet

CLASSES = 11
INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8")
"""Instruction sets that int8 uses; without VNNI or AMX it is hardly faster than float32."""

Pixels = NDArray[np.uint8]
Predict = Callable[[Pixels], NDArray[Any]]


def ours_and_peer(encoder: str) -> tuple[TorchPredictor, Predict]:
    """Return our U-Net, and that of segmentation_models.pytorch with the same weights."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(0)
    peer: Any = smp.Unet(f"tu-{encoder}", encoder_weights=None, classes=CLASSES).eval()
    decoder = partial(UNet, further=(16,), upsampling="nearest")
    net = EncoderDecoder(CLASSES, TimmEncoder(encoder, None), decoder, head_kernel=3).eval()
    with TemporaryDirectory() as folder:
        torch.save(peer.state_dict(), f"{folder}/smp.pth")
        import_weights(net, f"{folder}/smp.pth")
    names, palette = [f"class {k}" for k in range(CLASSES)], [voc_color(k) for k in range(CLASSES)]
    mean, std = (net.get_buffer(f"encoder.{name}") / 255 for name in ("mean", "std"))

    def predict(image: Pixels) -> NDArray[Any]:
        height, width = image.shape[:2]
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            padded = F.pad((pixels - mean) / std, (0, -width % 32, 0, -height % 32), mode="replicate")
            labels: NDArray[Any] = peer(padded).argmax(1)[0, :height, :width].numpy()
            return labels

    return TorchPredictor(net, ModelCard({}, tuple(names), tuple(palette), 255), "ours", "cpu"), predict


def end_to_end(predict: Predict, jpeg: bytes, palette: Any) -> bytes:
    """Convert the bytes of a JPEG to those of a label PNG."""
    image = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
    out = io.BytesIO()
    palette_image(predict(image).astype(np.uint8), palette).save(out, "PNG")
    return out.getvalue()


def medians(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each side, with alternating sides."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, step in sides.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main(args: list[str]) -> None:
    """Measure and print."""
    parser = Parser("latency", __doc__)
    parser.add_argument("--rounds", type=int, default=15, help="number of alternating timed runs of each side")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--encoder", default="resnet18", help="name of a timm model")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), help="height and width")
    options = parser.parse_args(args)
    torch.set_num_threads(options.threads)
    height, width = options.size
    image = scene(0, height, width, CLASSES, 6.0)[0]
    jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    ours, peer = ours_and_peer(options.encoder)
    sides: dict[str, Predict] = {"smp, eager": peer, "seglight, eager": ours.predict}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for k in range(1, 17):
            cv2.imwrite(str(folder / f"{k:02}.png"), scene(k, height, width, CLASSES, 6.0)[0][..., ::-1])
        for runtime, suffix in (("ONNX Runtime", ".onnx"), ("OpenVINO", ".xml")):
            for precision, calibrate in (("float32", None), ("int8", folder)):
                path = folder / f"{precision}{suffix}"
                export(ours, path, (height, width), calibrate)
                sides[f"{runtime}, {precision}"] = load_exported(path, options.threads).predict
        report(sides, image, jpeg, ours.palette, options)


def report(sides: dict[str, Predict], image: Pixels, jpeg: bytes, palette: Any, options: argparse.Namespace) -> None:
    """Compare the labels of the sides, time the sides, and print and write the figures."""
    labels = {name: predict(image) for name, predict in sides.items()}
    first = next(iter(sides))
    alike = {name: float((found == labels[first]).mean()) for name, found in labels.items()}
    assert all(share > 0.999 for name, share in alike.items() if "int8" not in name), alike
    flags = Path("/proc/cpuinfo").read_text().split()
    found = [flag for flag in INSTRUCTIONS if flag in flags]
    net = medians({name: partial(predict, image) for name, predict in sides.items()}, options.rounds)
    whole = medians({name: partial(end_to_end, side, jpeg, palette) for name, side in sides.items()}, options.rounds)
    print(
        f"U-Net, {options.encoder}, {options.size[0]}x{options.size[1]}, {options.threads} threads, {' '.join(found)}"
    )
    for name in sides:
        print(
            f"{name:22} {1e3 * net[name]:8.1f} ms {net[first] / net[name]:5.2f}x   "
            f"JPEG to PNG {1e3 * whole[name]:8.1f} ms {whole[first] / whole[name]:5.2f}x   "
            f"{100 * alike[name]:.2f} % of the pixels equal"
        )
    rows = {
        name: {"seconds": net[name], "jpeg_to_png_seconds": whole[name], "equal_pixels": alike[name]} for name in sides
    }
    write_record(options, {name: {**row, "instructions": " ".join(found)} for name, row in rows.items()})
