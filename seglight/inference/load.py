"""`seglight.load`: a predictor of any model file. Exported files are loaded without importing torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seglight.errors import UserError
from seglight.inference.exported.runtimes import SUFFIXES, load_exported
from seglight.inference.exported.windows import WindowedPredictor

if TYPE_CHECKING:
    from seglight.inference.predictor import Predictor
    from seglight.interfaces import Inferer


def load(
    model: str | Path | Sequence[str | Path],
    *,
    device: str = "auto",
    inferer: "Inferer | None" = None,
    max_memory: int | None = None,
    trust: Sequence[str] = (),
    threads: int | None = None,
) -> "Predictor":
    """Load a net for prediction.

        net = seglight.load("runs/camvid/checkpoints/best.ckpt")
        labels = net.predict("street.jpg")  # uint8 (H, W), at the image's size

    Args:
        model: A checkpoint of `seglight fit`, a folder of `seglight release`, or a file of `seglight export`; several
            checkpoints or folders predict the mean of their probabilities, without their temperatures.
        device: "cpu", "cuda", "cuda:1", ..., or "auto": a GPU if there is one. Exported files run on the CPU.
        inferer: How the net is applied to an image, see `seglight.inference`; None: the whole image in one pass.
        max_memory: Bytes that the process may hold (on a GPU: torch), in place of an inferer. Larger images are
            predicted by windows.
        trust: Packages whose classes it may name, beside seglight, torch, torchvision and timm; torch.export for .pt2.
        threads: Number of threads for one image of an exported file; None: its runtime's choice. Checkpoints, releases
            and .pt2 files use the threads of torch in this process.

    Raises:
        UserError: The model is missing or damaged, names classes that are not trusted, or does not support an option.
    """
    if inferer is not None and max_memory is not None:
        raise UserError("an inferer and max_memory: give one of them, because max_memory chooses an inferer")
    models = [model] if isinstance(model, str | Path) else list(model)
    if not models:
        raise UserError("no model: give a checkpoint, a released folder or an exported file")
    exported = [path for path in models if Path(path).suffix in SUFFIXES]
    if not exported:
        missing = next((path for path in models if not Path(path).exists()), None)
        if missing is not None:
            raise UserError(f"{missing}: no such checkpoint")
        from seglight.inference.torch_predictor import load_torch  # torch takes seconds to import

        return load_torch(models, device, inferer if max_memory is None else _within(max_memory), trust)
    if len(models) > 1:
        raise UserError(f"{exported[0]}: an exported file is not one of several models: export their ensemble")
    if inferer is not None:
        raise UserError(f"{exported[0]}: an exported file takes no inferer: give the checkpoint")
    if device not in ("auto", "cpu"):
        raise UserError(f"{exported[0]}: exported files run on the CPU, not on --device {device}: give the checkpoint")
    return WindowedPredictor(load_exported(exported[0], threads, trust), max_memory)


def _within(max_memory: int) -> "Inferer":
    from seglight.inference.within_memory import WithinMemory

    return WithinMemory(max_memory)
