"""Stand-in for `python -m seglight`: writes the files of a training, with a score computed from the recipe.

`val/miou` after epoch e of E is (1 - (x - 0.3)^2) * e / E. A checkpoint is a file with the number of completed
epochs; each epoch that is trained adds a line to `epochs`. SIGTERM and SIGUSR1 save and exit with code 75, and add
their number to `stops`. The latency is one second, plus one for each training that runs at the same time.
"""

import json
import signal
import sys
import time
from pathlib import Path

import yaml

arguments = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
if sys.argv[1] == "summary":
    recipe = yaml.safe_load(Path(arguments["--config"]).read_text())
    seconds = 1.0 + len(list(Path(arguments["--config"]).parents[1].glob("*/training")))
    sys.stdout.write(json.dumps([{"part": "a"}, {"parameters": round(1000 * recipe["x"]), "seconds": seconds}]))
    sys.exit()

folder = Path(arguments["--run_dir"])
recipe = yaml.safe_load((folder / "config.yaml").read_text())
checkpoint, stopped = folder / "checkpoint", []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: stopped.append(int(number)))
sys.stderr.write(f"training {folder.name}\n")
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
(folder / "starts").open("a").write(f"{done}\n")
if recipe.get("fails", 0) >= len((folder / "starts").read_text().splitlines()):
    sys.stderr.write(recipe.get("message", "boom") + "\n")
    sys.exit(recipe.get("code", 1))
kept = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)[:done] if done else []
(folder / "metrics.jsonl").write_text("".join(kept))  # without what was logged after the checkpoint
epochs = recipe["trainer"]["max_epochs"]
(folder / "training").touch()
for epoch in range(done, epochs):
    time.sleep(recipe.get("seconds", 0.0) + recipe.get("slower_by", 0.0) * int(folder.name))
    miou = (1 - (recipe["x"] - 0.3) ** 2) * (epoch + 1) / epochs
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 10 * (epoch + 1), "epoch": epoch, "val/miou": miou}) + "\n")
    (folder / "epochs").open("a").write(f"{epoch}\n")
    (folder / "scores.json").write_text(json.dumps({"miou": miou, "miou_interval": [miou - 0.01, miou + 0.01]}))
    checkpoint.write_text(str(epoch + 1))
    if stopped:
        break
(folder / "training").unlink()
if stopped:
    (folder / "stops").open("a").write(f"{stopped[0]}\n")
sys.exit(75 if stopped else 0)
