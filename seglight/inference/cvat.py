"""A net as a function that annotates tasks of CVAT, for `cvat-cli` and in Python.

    cvat-cli task auto-annotate 137 --function-module seglight.inference.cvat -p model=str:net.onnx

`cvat-cli function create-native` and `function run-agent` take the same module. CVAT matches the classes with the
labels of the task by their names. An ONNX file is used without importing torch.
"""

from typing import TYPE_CHECKING

from PIL import Image

from seglight.errors import UserError
from seglight.images.cvat import polygons, run_lengths
from seglight.images.pixels import are_rgb
from seglight.inference.load import load
from seglight.inference.members import members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cvat_sdk.auto_annotation import DetectionFunctionContext, DetectionFunctionSpec
    from cvat_sdk.models import LabeledShapeRequest

    from seglight.inference.predictor import Predictor


class CvatFunction:
    """Function of the kind that CVAT calls a detection function: an image in, shapes of its objects out.

    The connected components of each class are the objects. Their masks cover the image, each pixel once.

    Args:
        predictor: Net that `seglight.load` has loaded.

    Attributes:
        spec: Classes of the net, as labels of type "mask" whose ids are the class indices.
    """

    spec: "DetectionFunctionSpec"

    def __init__(self, predictor: "Predictor") -> None:
        from cvat_sdk import auto_annotation

        self.predictor = predictor
        labels = [
            auto_annotation.label_spec(name, index, type="mask") for index, name in enumerate(predictor.class_names)
        ]
        self.spec = auto_annotation.DetectionFunctionSpec(labels=labels)

    def detect(self, context: "DetectionFunctionContext", image: Image.Image) -> "Sequence[LabeledShapeRequest]":
        """Shapes of the objects in an image.

        A label map has no confidence of its objects, so that a threshold is not applied.

        Args:
            context: Name of the frame, and whether masks are to be converted to polygons.
            image: The frame.

        Raises:
            UserError: The image has more than 8-bit RGB can hold, or the net fails on it.
        """
        from cvat_sdk import auto_annotation

        try:
            labels = self.predictor.predict(image)
        except UserError as error:
            raise UserError(f"{context.frame_name}: {error}") from error
        classes = len(self.predictor.class_names)
        if context.conv_mask_to_poly:
            return [auto_annotation.polygon(category, points) for category, points in polygons(labels, classes)]
        return [auto_annotation.mask(category, points) for category, points in run_lengths(labels, classes)]


def create(model: str, device: str = "auto", trust: str = "") -> CvatFunction:
    """Load a model as a function; `cvat-cli` calls this with the parameters of `-p`.

    Args:
        model: Checkpoint, released folder or exported file; or several checkpoints with commas between them.
        device: "cpu", "cuda", ..., or "auto": a GPU if there is one.
        trust: Further packages whose classes a checkpoint may name, with commas between them.

    Raises:
        UserError: The model cannot be loaded.
    """
    predictor = load(members(model), device=device, trust=[name for name in trust.split(",") if name])
    bands = predictor.card.pixels
    if not are_rgb(bands):
        raise UserError(
            f"{model}: it reads {bands.line()}, and frames of CVAT are in 8-bit RGB: predict the files by "
            "`seglight predict --save coco`, and upload that"
        )
    return CvatFunction(predictor)
