"""`fit --help`, `validate --help` and `test --help`: what they do on one page, and topics on further ones.

The names of classes and their arguments are read from their sources, so that nothing heavy is imported.
"""

import ast
from pathlib import Path

from seglight.system.help_pages import argument_rows, listing, paragraph, plain, rows, topic_page, value
from seglight.system.recipe_classes import (
    AUGMENTATION,
    CALLBACKS,
    DATA,
    DECODERS,
    ENCODERS,
    GROUPS,
    INFERERS,
    LOSSES,
    METHODS,
    NETS,
    OPTIMIZERS,
    SCHEDULES,
    THEIR_CALLBACKS,
    Kind,
    names_of,
    offered,
)
from seglight.system.signatures import signature

MODEL = Kind("model", "--model", "seglight.training", ("num_classes", "ignore_index", "class_names", "palette"))
TRAINER_ARGUMENTS = Path(__file__).parents[2] / "training" / "trainer_arguments.py"

ABOUT = {
    "fit": "Train a net by a YAML recipe. Of several recipes a later one wins, and options win over recipes. The run "
    "folder gets the checkpoints, config.yaml (the whole recipe), scores.json, metrics.jsonl, panels and logs.",
    "validate": "Score a checkpoint on the validation split, by the recipe of its run. Options win over the recipe.",
    "test": "Score a checkpoint on the test split, by the recipe of its run. Options win over the recipe.",
}

USAGE = {
    "fit": "seglight fit -c RECIPE [-c RECIPE ...] [--run_dir DIR] [--resume] [--KEY VALUE ...]",
    "validate": "seglight validate -c RUN/config.yaml --ckpt_path FILE [--run_dir DIR] [--KEY VALUE ...]",
    "test": "seglight test -c RUN/config.yaml --ckpt_path FILE [--run_dir DIR] [--KEY VALUE ...]",
}

RECIPE = ("-c, --config FILE", "recipe; may be given several times")
SHARED = (
    ("--data.root DIR", "folder of the data set"),
    ("--data.batch_size N", "images of a step; in one pass of evaluation: --data.eval_batch_size"),
    ("--inferer SlidingWindow", "how images are evaluated; default: each whole, in one pass"),
    ("--trainer.devices N", "devices; also --trainer.accelerator cpu, --trainer.precision bf16-mixed"),
    ("--logger NAMES", "any of csv,tensorboard,wandb,mlflow; default: tensorboard"),
)
OPTIONS = {
    "fit": (
        RECIPE,
        ("--run_dir DIR", "folder of the run; default: runs/RECIPE/TIME"),
        ("--resume", "resume the run in --run_dir exactly, or start it there"),
        ("--data CLASS, --data.root DIR", "data set and its folder; --data.batch_size N, --data.num_workers N"),
        ("--data.augmentation.crop_size N", "size of the crops that are trained on"),
        ("--model.net.encoder.name NAME", "any encoder of timm: `seglight models WORD` lists them"),
        ("--model.net.decoder CLASS", "decoder; the loss: --model.loss CLASS; the rate: --model.optimizer.lr"),
        ("--model.weights FILE", "checkpoint or file of another project to start from"),
        ("--trainer.max_epochs N", "length; also --trainer.devices N, --trainer.precision bf16-mixed"),
        ("--early_stopping val/miou:5", "stop when a score has not improved in 5 validations"),
        SHARED[-1],
        ("--seeds 0,1,2", "one training per seed, and the mean of their scores"),
    ),
    "validate": (
        RECIPE,
        ("--ckpt_path FILE", "checkpoint that is scored, such as RUN/checkpoints/best.ckpt"),
        ("--run_dir DIR", "folder for scores.json; default: one in the folder of the run"),
        *SHARED,
    ),
}
OPTIONS["test"] = OPTIONS["validate"]

EXAMPLES = {
    "fit": (
        "seglight fit -c configs/quickstart.yaml --run_dir runs/first",
        "seglight fit -c configs/camvid/unet_resnet34.yaml --data.root CamVid --trainer.max_epochs 30",
        "seglight fit --run_dir runs/first --resume",
    ),
    "validate": (
        "seglight validate -c runs/first/config.yaml --ckpt_path runs/first/checkpoints/best.ckpt",
        "seglight validate -c runs/first/config.yaml --ckpt_path last.ckpt --inferer SlidingWindow",
        "seglight validate -c configs/camvid/unet_resnet34.yaml --model.weights net.ckpt --data.root DIR",
    ),
    "test": (
        "seglight test -c runs/first/config.yaml --ckpt_path runs/first/checkpoints/best.ckpt",
        "seglight test -c runs/first/config.yaml --ckpt_path last.ckpt --inferer SlidingWindow",
        "seglight test -c configs/camvid/unet_resnet34.yaml --model.weights net.ckpt --data.root DIR",
    ),
}

LISTED = (DATA, ENCODERS, DECODERS, LOSSES, CALLBACKS)
_METHODS = "methods, what a training step computes (--model.method):\n{}"


def page(command: str, topic: str | None = None) -> str:
    """The page of a command, or of a topic of it.

    Args:
        command: "fit", "validate" or "test".
        topic: "data", "model", "trainer", "callbacks" or the name of a class; None: the command itself.

    Raises:
        UserError: There is no such topic.
    """
    if topic is not None:
        pages = {"data": data_page, "model": model_page, "trainer": trainer_page, "callbacks": callbacks_page}
        return topic_page(f"seglight {command}", topic, pages)
    parts = [
        f"usage: {USAGE[command]}",
        paragraph(ABOUT[command]),
        f"options used most:\n{rows(OPTIONS[command])}",
        "classes by name:\n" + "\n".join(listing(f"{kind.title} ({kind.option})", offered(kind)) for kind in LISTED),
        *([_METHODS.format(_classes(METHODS))] if command == "fit" else []),
        "examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES[command]),
        "more help:\n" + rows(_more(command), 53),
    ]
    return "\n\n".join(parts) + "\n"


def _more(command: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"seglight {command} --help data|model|trainer|callbacks", "options of a part of the recipe"),
        (f"seglight {command} --help CLASS", "a class and its arguments, such as FPN"),
        (f"seglight {command} --help_all", "every option, in thousands of lines"),
        ("seglight completion bash|zsh|fish", "completion in the shell"),
    )


def data_page() -> str:
    """The topic of the data sets."""
    shared = signature(f"{DATA.package}.FileDataModule")
    crops = signature(f"{AUGMENTATION.package}.Augmentation")
    return _joined(
        "data: the images and label maps of the recipe. --data CLASS chooses the data set:",
        _classes(DATA),
        "options of all data sets that are read from files:",
        argument_rows(shared, DATA),
        "augmentation of the training samples:",
        argument_rows(crops, AUGMENTATION),
        "`seglight fit --help CLASS` shows a data set. A class of your own is given by its import path: "
        "--data my_module.MyDataModule.",
    )


def model_page() -> str:
    """The topic of the net, its loss and its optimisation."""
    module = signature(f"{MODEL.package}.SegmentationModule")
    kinds = (NETS, ENCODERS, DECODERS, LOSSES, OPTIMIZERS, SCHEDULES, METHODS, INFERERS)
    return _joined(
        "model: the net, its loss and its optimisation.",
        argument_rows(module, MODEL),
        argument_rows(signature(f"{GROUPS.package}.ParameterGroups"), GROUPS),
        "classes by name:",
        "\n".join(listing(f"{kind.title} ({kind.option})", offered(kind)) for kind in kinds),
        "`seglight fit --help CLASS` shows a class, such as TimmEncoder, FPN or AdamW; `seglight models WORD` lists "
        "encoders of timm.",
    )


def callbacks_page() -> str:
    """The topic of the callbacks."""
    return _joined(
        "callbacks: what happens between the steps. They are a list in the recipe; an option adds one: "
        "--trainer.callbacks+=EMA --trainer.callbacks.decay 0.99",
        _classes(CALLBACKS),
        "of Lightning:",
        _classes(THEIR_CALLBACKS),
        "--early_stopping val/miou:5 is short for EarlyStopping. Every run writes checkpoints, metrics.jsonl, panels "
        "and scores without a callback in its recipe. `seglight fit --help CLASS` shows the arguments.",
    )


def trainer_page() -> str:
    """The topic of the Trainer of Lightning."""
    verdicts = trainer_verdicts()
    given = signature("lightning.pytorch.Trainer").parameters
    pairs = []
    for name, each in given.items():
        default = "" if each.default in ("None", None) else f" [{value(each.default)}]"
        verdict = verdicts.get(name, "").removeprefix("works: ").removeprefix("works; ")
        pairs.append((name + default, "any value" if verdict == "works" else verdict))
    return _joined(
        "trainer: arguments of Lightning's Trainer, given as --trainer.NAME VALUE, with what works in seglight [and "
        "their defaults]:",
        rows(pairs, 40),
    )


def trainer_verdicts() -> dict[str, str]:
    """What works of each argument of the Trainer: the texts of `ARGUMENTS` in trainer_arguments.py, from its source."""
    tree = ast.parse(TRAINER_ARGUMENTS.read_text(encoding="utf-8"))
    tables = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Dict)
        and ast.unparse(node.targets[0]) == "ARGUMENTS"
    ]
    verdicts = {}
    for table in tables:
        for key, entry in zip(table.keys, table.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(entry, ast.Call):
                verdicts[str(key.value)] = str(ast.literal_eval(entry.args[0]))
    return verdicts


def _classes(kind: Kind) -> str:
    """A line for each class of a kind: its name and the first sentence about it."""
    pairs = []
    for name in names_of(kind):
        about = (signature(f"{kind.package}.{name}").about or ("",))[0]
        pairs.append((name, plain(about).split(". ")[0].rstrip(".:") + "."))
    return rows(pairs, 28)


def _joined(*parts: str) -> str:
    texts = (part if part.startswith(" ") else paragraph(part) for part in parts if part)
    return "\n\n".join(texts) + "\n"
