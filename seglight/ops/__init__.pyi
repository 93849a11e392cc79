from .confusion import confusion_matrix
from .upsample import upsampled_argmax, upsampled_softmax

__all__ = ["confusion_matrix", "upsampled_argmax", "upsampled_softmax"]
