"""The public names of the room, and that they cost nothing until they are used."""

import subprocess
import sys

import seglight.ops
from seglight.ops.confusion import confusion_matrix
from seglight.ops.upsample import upsampled_argmax, upsampled_softmax


def test_functions_are_those_of_their_files() -> None:
    assert seglight.ops.upsampled_argmax is upsampled_argmax
    assert seglight.ops.upsampled_softmax is upsampled_softmax
    assert seglight.ops.confusion_matrix is confusion_matrix


def test_the_room_is_imported_without_torch() -> None:
    code = "import sys, seglight.ops, seglight.ops.iou; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
