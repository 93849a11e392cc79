"""Recipes and sweeps of which a part was exchanged for something hostile, and the commands that read them."""

import json
from pathlib import Path
from typing import Any

import yaml
from numpy.random import Generator

from tests.fuzz.mutations import CANARY, WRONG, changed

RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {
        "max_epochs": 1, "enable_progress_bar": False, "gradient_clip_val": 1.0, "logger": False, "plugins": None,
        "callbacks": [
            {"class_path": "seglight.callbacks.EMA", "init_args": {"decay": 0.9}},
            {"class_path": "lightning.pytorch.callbacks.Timer"},
        ],
    },
    "model": {
        "net": {
            "class_path": "seglight.models.EncoderDecoder",
            "init_args": {
                "encoder": {
                    "class_path": "seglight.models.TimmEncoder",
                    "init_args": {"name": "test_resnet", "weights": "random", "depth": 2},
                },
                "decoder": {"class_path": "seglight.models.decoders.FPN", "init_args": {"channels": 8}},
            },
        },
        "loss": {
            "class_path": "seglight.losses.WeightedSum",
            "init_args": {"losses": [{"class_path": "seglight.losses.CrossEntropy"}], "weights": [1.0]},
        },
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01}},
        "schedule": {"class_path": "seglight.optim.WarmupPoly", "init_args": {"warmup_steps": 1}},
        "weights": None,
    },
    "data": {
        "class_path": "seglight.data.ShapesDataModule",
        "init_args": {
            "size": 32, "train_images": 4, "eval_images": 1, "batch_size": 2, "num_workers": 0,
            "augmentation": {"crop_size": 32, "extra": [{"class_path": "albumentations.GaussNoise"}]},
        },
    },
    "inferer": None,
}  # fmt: skip

SWEEP: dict[str, Any] = {
    "configs": ["recipe.yaml"],
    "objectives": {"val/none": "maximize"},  # which nothing logs: no trial is started
    "space": {
        "model.optimizer.init_args.lr": {"log": [1e-4, 1e-1]},
        "model.optimizer": {"choice": [{"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}]},
        "data.init_args.batch_size": {"choice": [1, 2], "when": {"model.optimizer": ["x"]}},
    },
    "trials": 3,
    "sampler": {"class_path": "optuna.samplers.TPESampler", "init_args": {"n_startup_trials": 2}},
    "pruner": {"class_path": "optuna.pruners.MedianPruner"},
    "running": {"parallel": 1, "seeds": [0], "retries": 1, "slurm": {"setup": [f"touch {CANARY}"]}},
}

RUNS = {
    "os.system": {"command": f"touch {CANARY}"},
    "os.mkdir": {"path": CANARY},
    "os.remove": {"path": "recipe.yaml"},
    "subprocess.getoutput": {"cmd": f"touch {CANARY}"},
    "subprocess.Popen": {"args": ["touch", CANARY]},
    "subprocess.run": {"args": ["touch", CANARY]},
    "builtins.eval": {"source": f"__import__('os').mkdir('{CANARY}')"},
    "builtins.open": {"file": CANARY, "mode": "w"},
    "pathlib.Path.touch": {"self": CANARY},
    "shutil.rmtree": {"path": "."},
    "runpy.run_path": {"path_name": "evil.py"},
    "importlib.import_module": {"name": "evil"},
    "evil.Net": {},
    "torch.load": {"f": "evil.pt", "weights_only": False},
    "torch.hub.load": {"repo_or_dir": ".", "model": "evil", "source": "local"},
    "torch.jit.load": {"f": "evil.pt"},
    "seglight.__main__.main": {"argv": ["predict"]},
    "lightning.pytorch.trainer.trainer.Trainer": {"default_root_dir": f"/tmp/{CANARY}"},
    "timm.create_model": {"model_name": "hf-hub:evil/evil"},
    "webbrowser.open": {"url": "http://127.0.0.1:9/"},
    "urllib.request.urlopen": {"url": "http://127.0.0.1:9/"},
}
"""What a class_path may name, with arguments that fit it."""


def recipe(rng: Generator, folder: Path) -> tuple[str, list[str], str]:
    """Write a recipe; gives the name of the case, a command that reads it, and its option for what it writes."""
    _surroundings(folder)
    content, what = _hostile(RECIPE, rng)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    safe = ["--safe_recipe"] if rng.random() < 0.5 else []
    command = str(rng.choice(["fit", "summary", "validate", "doctor"]))
    words = [command, "--config", "recipe.yaml", *safe]
    if command in ("fit", "validate"):
        words += ["--trainer.accelerator", "cpu", "--trainer.limit_val_batches", "1"]
        words += ["--data.init_args.num_workers", "0"]  # which fork, and talk to each other
    if command == "fit":
        words += ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"]
    name = f"recipe {command}{' safe' if safe else ''} {what}"
    return name, words, "--run_dir" if command in ("fit", "validate") else ""


def sweep(rng: Generator, folder: Path) -> tuple[str, list[str], str]:
    """Write a sweep, as `recipe` does; it ends before its first trial."""
    _surroundings(folder)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    content, what = _hostile(SWEEP, rng)
    text = yaml.safe_dump(content, sort_keys=False)
    if rng.random() < 0.1:
        text, what = f"{text}\nseed: !!python/object/apply:os.mkdir [{CANARY}]\n", "yaml tag"
    (folder / "sweep.yaml").write_text(text)
    safe = ["--safe_recipe"] if rng.random() < 0.5 else []
    override = [f"--{key}={value}" for key, value in _override(rng)]
    return f"sweep{' safe' if safe else ''} {what}", ["sweep", "--config", "sweep.yaml", *safe, *override], "--out"


def _override(rng: Generator) -> list[tuple[str, str]]:
    """A key on the command line, seldom."""
    if rng.random() < 0.8:
        return []
    keys = ["trainer.max_epochs", "model.optimizer", "data.init_args.root", "model.net", "no.such", "", "trainer", "+"]
    values = ["1", "os.system", "[", "\x1b[31m", json.dumps(_spec(rng)), "", "{}"]
    return [(str(rng.choice(keys)), values[int(rng.integers(len(values)))])]


def _surroundings(folder: Path) -> None:
    """A module that says when it is imported, and a pickle and a hub of the same kind."""
    evil = f"import os\nos.mkdir({CANARY!r})\nclass Net: pass\ndef evil(): pass\n"
    for name in ("evil.py", "hubconf.py"):
        (folder / name).write_text(evil)
    (folder / "evil.pt").write_bytes(b"\x80\x02cposix\nmkdir\nX\x06\x00\x00\x00canary\x85R.")


def _spec(rng: Generator) -> dict[str, Any]:
    class_path = str(rng.choice(sorted(RUNS)))
    return {"class_path": class_path, "init_args": RUNS[class_path]}


def _hostile(content: dict[str, Any], rng: Generator) -> tuple[Any, str]:
    """A copy with a value exchanged: for a class path that runs something, for one as text, or for something wrong."""
    spec, kind = _spec(rng), rng.random()
    if kind < 0.5:
        return _put(content, rng, spec), spec["class_path"]
    if kind < 0.7:
        return _put(content, rng, spec["class_path"]), f"{spec['class_path']} as text"
    return changed(content, rng, tuple(value for value in WRONG if value != 2**40)), "wrong value"


def _put(value: Any, rng: Generator, what: Any) -> Any:
    """A copy of nested values with a part at any depth exchanged; never the whole."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    copy = value.copy()
    key = keys[int(rng.integers(len(keys)))]
    deeper = isinstance(value[key], dict | list) and value[key]
    copy[key] = _put(value[key], rng, what) if deeper and rng.random() < 0.85 else what
    return copy
