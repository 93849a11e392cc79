"""Write the files of this version: `python -m tests.compatibility.write [NAME ...]`.

Each kind is trained for two steps by `fit`. Its weights are then changed to be small when compressed: large tensors
repeat a prefix of themselves, and all keep few digits. The net's last layers are scaled so that it sees many classes.
"""

import json
import lzma
import math
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import seglight
from seglight.__main__ import main
from seglight.errors import say
from seglight.inference.exported import seal
from tests.compatibility import fixed_image
from tests.compatibility.kinds import DATA_SETS, FSDP, KINDS, PRETRAINING, Kind, named, on_files
from tests.support import fabricate

VERSION = ".".join(seglight.__version__.split(".")[:2])
PERIOD = 251
"""Elements after which a large tensor repeats itself; a prime, so that no two of its rows are equal."""

MARGIN = 1e-2
"""Least difference of the two highest probabilities of a pixel whose label is kept."""


def write(kind: str, root: Path, out: Path) -> None:
    """Train one kind in `root/kind` and write its files to a folder."""
    spec, run = KINDS[kind], root / kind
    recipe(spec, root, root / "recipe.yaml")
    seglight_main("fit", "--config", root / "recipe.yaml", "--run_dir", run / "run")
    written = run / "run" / "checkpoints" / ("last.previous.ckpt" if spec.whole else "last.ckpt")
    checkpoint = torch.load(written, weights_only=True)
    if not spec.whole:
        for key in ("optimizer_states", "lr_schedulers", "scores"):
            checkpoint.pop(key, None)
    checkpoint = changed(checkpoint, {str(root): "ROOT", **spec.deep})
    model = run / "last.ckpt"
    torch.save(checkpoint, model)
    if not spec.whole:
        scale(checkpoint, model, bands_of(kind))
    net = seglight.load(model, device="cpu")
    image = fixed_image.read(bands_of(kind))
    out.mkdir(parents=True, exist_ok=True)
    labels = sure_labels(net, image)
    Image.fromarray(labels).save(out / "labels.png", optimize=True)
    pack(model, out)
    config = (run / "run" / "config.yaml").read_text()
    (out / "config.yaml").write_text(changed(config, {str(root): "ROOT", **spec.deep}))
    if spec.scored:
        to = ("--ckpt_path", model, "--run_dir", root)
        seglight_main("validate", "--config", run / "run" / "config.yaml", *to)
    if spec.released:
        seglight_main("release", model, "--out", run / "released")
        (out / "released").mkdir(exist_ok=True)
        pack(run / "released" / "model.safetensors", out / "released")
        shutil.copy(run / "released" / "release.json", out / "released")
    if spec.onnx:
        seglight_main("export", model, "--format", "onnx", "--out", run / "net.onnx", *spec.export)
        strip(run / "net.onnx")
        pack(run / "net.onnx", out)
    if spec.openvino:
        seglight_main("export", model, "--format", "openvino", "--out", run / "net.xml")
        pack(run / "net.xml", out)
        pack(run / "net.bin", out)
    counts = np.bincount(labels.ravel(), minlength=256)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    say(f"{kind}: {size / 1024:.0f} KiB, {np.count_nonzero(counts[:255])} classes, {counts[255]} pixels unsure")


def write_recipe(name: str, root: Path, out: Path) -> None:
    """Train on a fabricated data set in `root/name`, and write the recipe that the run keeps."""
    getattr(fabricate, name)(root / name)
    recipe(on_files(name), root, root / "recipe.yaml")
    seglight_main("fit", "--config", root / "recipe.yaml", "--run_dir", root / f"{name}_run")
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text((root / f"{name}_run" / "config.yaml").read_text().replace(str(root), "ROOT"))


def write_pretraining(root: Path, out: Path) -> None:
    """Pre-train an encoder in `root/pretraining`, and write its recipe, its checkpoint and its weights."""
    run = root / "pretraining"
    fixed_image.image_folder(root / "images")
    (root / "recipe.yaml").write_text(json.dumps(PRETRAINING).replace("ROOT", str(root)))
    seglight_main("pretrain", "--config", root / "recipe.yaml", "--run_dir", run)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pretrain.yaml").write_text(yaml.safe_dump(PRETRAINING))
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    torch.save(changed(checkpoint, {str(root): "ROOT"}), run / "last.ckpt")
    weights = changed(load_file(run / "encoder.safetensors"), {})
    save_file({key: value.contiguous() for key, value in weights.items()}, run / "encoder.safetensors")
    pack(run / "last.ckpt", out)
    pack(run / "encoder.safetensors", out)


def recipe(spec: Kind, root: Path, path: Path) -> None:
    optimizer = named("torch.optim.AdamW", lr=0.0001)
    content = {
        "seed_everything": 1,
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 1,
            "log_every_n_steps": 1,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "callbacks": list(spec.callbacks),
        },
        "model": {"net": spec.net, "optimizer": optimizer, **spec.model},
        "data": spec.data,
        **spec.more,
    }
    path.write_text(json.dumps(content).replace("ROOT", str(root)))


def bands_of(kind: str) -> int:
    return 4 if kind == "four_bands" else 3


def changed(value: Any, words: dict[str, str]) -> Any:
    """A copy of what a checkpoint holds, of tensors that compress, and with other words in its strings."""
    if isinstance(value, dict):
        return type(value)((changed(key, words), changed(part, words)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return type(value)(changed(part, words) for part in value)
    if isinstance(value, str):
        for word, instead in words.items():
            value = value.replace(word, instead)
        return value
    return compressible(value) if isinstance(value, Tensor) else value


def compressible(tensor: Tensor, most: int = 512) -> Tensor:
    """Rounded to 8 bits of mantissa; beyond `most` elements the first ones repeat themselves."""
    if tensor.dtype != torch.float32:
        return tensor
    tensor = tensor.bfloat16().float()
    if tensor.numel() > most:
        first = tensor.flatten()[:PERIOD]
        tensor = first.repeat(-(-tensor.numel() // PERIOD))[: tensor.numel()].view(tensor.shape).clone()
    return tensor


def scale(checkpoint: dict[str, Any], path: Path, bands: int) -> None:
    """Fit norms and last layers to the fixed image, and write the checkpoint anew."""
    net = seglight.load(path, device="cpu").net
    padded = np.pad(fixed_image.read(bands), ((0, 16), (0, 0), (0, 0)), "edge")  # as prediction does it
    image = torch.from_numpy(padded).permute(2, 0, 1)[None]
    with torch.no_grad():
        settle(net, image)
        classes = checkpoint["seglight"]["num_classes"]
        names = ("aux_head.1", "head", "predict", "combine")
        layers = [
            module
            for end in names
            for name, module in net.named_modules()
            if (name.endswith(f".{end}") or name == end) and isinstance(module, nn.Conv1d | nn.Conv2d)
        ]
        for layer in layers:
            assert layer.out_channels == classes
            standardise(net, layer, image)
    last = {id(parameter) for layer in layers for parameter in layer.parameters()}
    exact = {name for name, parameter in net.named_parameters() if id(parameter) in last}
    own = {
        f"net.{key}": value if key in exact or key.endswith("running_var") else compressible(value)
        for key, value in net.state_dict().items()
    }
    checkpoint["state_dict"].update(own)
    torch.save(checkpoint, path)


def settle(net: nn.Module, image: Tensor) -> None:
    """Fit the batch norms to what reaches them, and give every branch that begins near 0 a share.

    Each norm divides all of its channels by one power of 2: an exported file holds weights that this was folded into.
    """

    def fit(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0).mean()
        norm.running_mean.copy_(mean.bfloat16())
        norm.running_var.fill_(4.0 ** max(-3, round(math.log(max(float(variance), 1e-9), 4))) - norm.eps)

    for name, parameter in net.named_parameters():
        if parameter.ndim == 1 and name.endswith(("weight", "gamma")) and parameter.abs().max() < 0.1:
            parameter.fill_(1.0 if name.endswith("weight") else 0.5)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_pre_hook(fit) for norm in norms]
    net.eval()(image)
    for handle in handles:
        handle.remove()


def standardise(net: nn.Module, layer: Any, image: Tensor) -> None:
    """Change a layer so that over the image its channels have mean 0 and deviation 3, as far as they differ."""
    given: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: given.append(output))
    net(image)
    handle.remove()
    if not given:  # an auxiliary head that nobody reads
        return
    values = torch.cat([part.transpose(0, 1).flatten(1) for part in given], 1).double()
    mean = values.mean(1)
    assert (values.std(1) > 1e-3 * mean.abs()).all(), (mean, values.std(1))
    variances, axes = torch.linalg.eigh(values.cov())
    mixed = 3 * axes @ torch.diag((variances + 1e-3 * variances.max()).rsqrt()) @ axes.T
    if layer.groups > 1:  # channels that read inputs of their own can't be mixed
        mixed = torch.diag(3 / values.std(1))
    layer.weight.copy_(torch.einsum("ij,j...->i...", mixed, layer.weight.double()))
    layer.bias.copy_(mixed @ (layer.bias - mean))


def sure_labels(net: Any, image: Any) -> Any:
    (labels,) = net.predict_batch([image])
    batch = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    best = net.inferer.probabilities(net.net, batch)[0].topk(2, 0).values
    unsure = (best[0] - best[1] < MARGIN).numpy()
    assert unsure.mean() < 0.05, unsure.mean()
    assert np.unique(labels[~unsure]).size > 2, np.unique(labels)
    return np.where(unsure, np.uint8(fixed_image.UNSURE), labels.astype(np.uint8))


def strip(path: Path) -> None:
    """Take the lines of code that each node came from out of an ONNX file: they name folders of this machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    for entry in model.metadata_props:
        if entry.key == seal.KEY:
            entry.value = seal.EMPTY
    onnx.save(model, path)
    seal.seal(path)


def pack(path: Path, folder: Path) -> None:
    (folder / f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9))


def seglight_main(*args: object) -> None:
    assert main([str(arg) for arg in args]) == 0, args


def write_all(names: list[str]) -> None:
    """Those that are named, or all; files that others read are unpacked for them if they are not written anew."""
    Image.fromarray(fixed_image.draw()).save(fixed_image.IMAGE)
    out = fixed_image.HERE / VERSION
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (out / "fsdp").mkdir(parents=True, exist_ok=True)
        (out / "fsdp" / "parsed.yaml").write_text(yaml.safe_dump(FSDP))
        for name in ("pretraining", *KINDS, *DATA_SETS):
            if names and name not in names:
                for path in (out / name).glob("*.xz"):
                    (root / name).mkdir(exist_ok=True)
                    (root / name / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
            elif name == "pretraining":
                write_pretraining(root, out / name)
            elif name in DATA_SETS:
                write_recipe(name, root, out / name)
            else:
                write(name, root, out / name)


if __name__ == "__main__":
    write_all(sys.argv[1:])
