"""The answer to CVAT, made in a model process."""

from seglight.commands.serve.prediction import Prediction
from seglight.images.cvat import detections


def cvat_detections(prediction: Prediction) -> bytes:
    """Objects of an image as CVAT expects them of a serverless function, JSON.

    Raises:
        UserError: They would be too long.
    """
    return detections(prediction.labels, prediction.predictor.class_names)
