"""Every decoder on CamVid: the recipe with other decoders on crops of 352, four epochs each, and combinations of three.

Each training is a separate `seglight fit`. Parameters and training images per second are measured afterwards, after
two warm-up steps and without other trainings. The three best decoders are combined in an Ensemble and in a Stacking,
which is trained on the training split. The soup is made of three trainings of one further epoch of the best, each with
another seed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks._record import Parser, write_record
from benchmarks._table import DEVICE

RECIPE = "configs/camvid/fpn_efficientnet_lite0.yaml"
BATCH, CROP = 8, 352

DECODERS: dict[str, dict[str, Any]] = {
    "FCN": {"decoder": ("FCN", {"channels": 256})},
    "UNet": {"decoder": ("UNet", {"channels": [128, 64, 48, 24]})},
    "UNetPlusPlus": {"decoder": ("UNetPlusPlus", {"channels": [128, 64, 48, 24]})},
    "FPN": {"decoder": ("FPN", {"pyramid_channels": 128, "channels": 64})},
    "PSPNet": {"decoder": ("PSPNet", {"channels": 256}), "output_stride": 16},
    "DeepLabV3": {"decoder": ("DeepLabV3", {"channels": 192}), "output_stride": 16},
    "DeepLabV3Plus": {"decoder": ("DeepLabV3Plus", {"channels": 192}), "output_stride": 16},
    "UPerNet": {"decoder": ("UPerNet", {"channels": 128})},
    "SegFormer": {"decoder": ("SegFormer", {"channels": 128})},
    "LRASPP": {"decoder": ("LRASPP", {}), "output_stride": 16},
    "OCR": {"decoder": ("OCR", {"channels": 256, "key_channels": 128}), "output_stride": 16, "aux_index": -2},
    "ReSeg": {"decoder": ("ReSeg", {})},
    "PointRend over FPN": {
        "decoder": ("FPN", {"pyramid_channels": 128, "channels": 64}), "net": "PointRend", "fine_index": 1,
    },
}  # fmt: skip


def net_of(name: str) -> dict[str, Any]:
    """Return the net as it is written in a recipe."""
    how = dict(DECODERS[name])
    decoder, options = how.pop("decoder")
    encoder = {"name": "tf_efficientnet_lite0", "weights": "offline"}
    if "output_stride" in how:
        encoder["output_stride"] = how.pop("output_stride")
    return {
        "class_path": f"seglight.models.{how.pop('net', 'EncoderDecoder')}",
        "init_args": {
            "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": encoder},
            "decoder": {"class_path": f"seglight.models.decoders.{decoder}", "init_args": options},
            **how,
        },
    }


def together(kind: str, checkpoints: list[Path]) -> dict[str, Any]:
    """Return a net of several checkpoints as it is written in a recipe."""
    return {"class_path": f"seglight.models.{kind}", "init_args": {"members": list(map(str, checkpoints))}}


class Runs:
    """Runs commands of seglight, each in its own folder.

    Args:
        options: Options of the benchmark.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.pool = ThreadPoolExecutor(options.jobs)

    def fit(self, name: str, net: dict[str, Any], *extra: str, epochs: int | None = None) -> float:
        """Train a net and return the last mIoU."""
        epochs = epochs or self.options.epochs
        options = ["--trainer.max_epochs", str(epochs), "--trainer.check_val_every_n_epoch", str(epochs)]
        return self._run("fit", name, net, *options, *extra)

    def validate(self, name: str, net: dict[str, Any], *extra: str) -> float:
        """Validate a net and return the mIoU."""
        return self._run("validate", name, net, *extra)

    def soup(self, name: str, checkpoints: list[Path]) -> Path:
        """Average the weights of several checkpoints."""
        out: Path = self.options.run_dir / f"{name}.ckpt"
        data = ["--data.init_args.root", str(self.options.root)]
        self._seglight("soup", *map(str, checkpoints), "--config", RECIPE, "--out", str(out), *data, log=name)
        return out

    def best(self, name: str) -> Path:
        """Return the best checkpoint of a training."""
        found: Path = self.options.run_dir / name / "checkpoints" / "best.ckpt"
        return found

    def _run(self, command: str, name: str, net: dict[str, Any], *extra: str) -> float:
        root = ["--data.init_args.root", str(self.options.root)]
        crop = ["--data.init_args.augmentation.crop_size", str(CROP)]
        workers = ["--data.init_args.num_workers", str(self.options.workers), "--trainer.enable_progress_bar", "false"]
        where = ["--run_dir", str(self.options.run_dir / name), "--model.net", json.dumps(net)]
        self._seglight(command, "--config", RECIPE, *root, *crop, *workers, *extra, *where, log=name)
        return float(json.loads((self.options.run_dir / name / "scores.json").read_text())["miou"])

    def _seglight(self, *args: str, log: str) -> None:
        with (self.options.run_dir / f"{log}.log").open("w") as file:
            subprocess.run([sys.executable, "-m", "seglight", *args], check=True, stdout=file, stderr=file)


def cost(name: str) -> tuple[float, float]:
    """Return the millions of parameters, and the images per second of forward, loss, backward and optimizer step."""
    from jsonargparse import ArgumentParser
    from torch import nn

    from seglight.losses import CrossEntropy

    parser = ArgumentParser()
    parser.add_subclass_arguments(nn.Module, "net", skip={"num_classes"}, instantiate=False)
    factory = parser.parse_object({"net": net_of(name)}).net
    factory.init_args.num_classes = 11
    parser = ArgumentParser()
    parser.add_subclass_arguments(nn.Module, "net")
    net: nn.Module = parser.instantiate_classes(parser.parse_object({"net": factory})).net.train()
    net.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, loss = torch.optim.AdamW(net.parameters(), 1e-4), CrossEntropy(255)
    image = torch.randint(0, 256, (BATCH, 3, CROP, CROP), dtype=torch.uint8, device=DEVICE)
    mask = torch.randint(0, 11, (BATCH, CROP, CROP), dtype=torch.uint8, device=DEVICE)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        optimizer.zero_grad()
        out = net(image)
        sum(loss(logits, mask) for logits in (out.logits, *out.aux)).backward()
        optimizer.step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return parameters / 1e6, BATCH / statistics.median(times[2:])


def main(args: list[str]) -> None:
    """Train, measure and print."""
    parser = Parser("decoders", __doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--run_dir", type=Path, default=Path("runs/benchmark_decoders"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument(
        "--decoders", nargs="+", choices=list(DECODERS), default=list(DECODERS), help="at least three decoders"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="number of parallel trainings; use more than one only on a GPU"
    )
    parser.add_argument("--workers", type=int, default=0, help="number of loader workers of each training")
    options = parser.parse_args(args)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    runs = Runs(options)
    names = options.decoders
    miou = dict(zip(names, runs.pool.map(lambda name: runs.fit(name, net_of(name)), names), strict=True))
    best = sorted(miou, key=lambda name: miou[name], reverse=True)[:3]
    print(json.dumps(miou), flush=True)
    members = [runs.best(name) for name in best]
    again = [f"again_{seed}" for seed in (1, 2, 3)]
    short = ["--model.schedule.init_args.warmup_steps", "10"]
    jobs = {
        name: runs.pool.submit(
            runs.fit, name, net_of(best[0]), "--model.weights", str(members[0]), "--seed_everything", name[-1],
            "--model.optimizer.init_args.lr", "1e-3", *short, epochs=1,
        )
        for name in again
    }  # fmt: skip
    jobs["ensemble"] = runs.pool.submit(runs.validate, "ensemble", together("Ensemble", members))
    jobs["stack"] = runs.pool.submit(runs.fit, "stack", together("Stacking", members), *short, epochs=1)
    miou.update({name: job.result() for name, job in jobs.items()})
    soup = runs.soup("soup", [runs.best(name) for name in again])
    miou["soup"] = runs.validate("soup", net_of(best[0]), "--ckpt_path", str(soup))
    rows = {name: {"miou": value} for name, value in miou.items()}
    for name in names:
        rows[name]["parameters"], rows[name]["images_per_second"] = cost(name)
    for name, row in rows.items():
        costs = f"{row['parameters']:6.2f} M {row['images_per_second']:7.1f} images/s" if "parameters" in row else ""
        print(f"{name:20} {row['miou']:.4f} {costs}")
    print(f"ensemble and stack of {', '.join(best)}; soup of three trainings of one further epoch of {best[0]}")
    write_record(options, rows)
