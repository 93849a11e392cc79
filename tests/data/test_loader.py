"""Processes that load samples, at the end of the process that reads from them."""

import subprocess
import sys

SCRIPT = """
from seglight.data import Augmentation, ShapesDataModule

data = ShapesDataModule(64, 8, 2, Augmentation(64), batch_size=2)
data.setup("fit")
whole, part = data.train_dataloader(), data.train_dataloader()
print(len([*whole]))
batches = iter(part)
print(*next(batches)["image"].shape)
"""


def test_a_script_ends_whose_loaders_still_have_processes() -> None:
    """Python waits for them, and they do not receive what multiprocessing sends to end them."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n2 3 64 64\n", "")
