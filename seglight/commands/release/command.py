"""Write a checkpoint as a folder that can be passed on: safetensors, JSON and a README, without executable content."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seglight import __version__
from seglight.checkpoints.checkpoint import SCORES, load_net, net_weights, read_checkpoint, weights_checksum
from seglight.checkpoints.release import is_release, write_release
from seglight.commands.release.readme import readme
from seglight.errors import UserError, say
from seglight.metrics.confusion_content import content_of
from seglight.metrics.image_counts import FILE, ScoredImages
from seglight.system.parsing import new_parser, parse_arguments
from seglight.system.run_files import RECIPE_FILE, SCORES_FILE
from seglight.system.terminal import plain_console


def release(checkpoint: str, out: str, trust: Sequence[str] = ()) -> None:
    """Write the folder of a checkpoint, with the scores of its run if they belong to these weights.

    Args:
        checkpoint: Checkpoint of `seglight fit`.
        out: Folder to write, which must not exist.
        trust: Further packages whose classes the checkpoint may name.

    Raises:
        UserError: The checkpoint can't be used, or the folder exists.
    """
    if is_release(checkpoint):
        raise UserError(f"{checkpoint} is a released folder already: copy it")
    net, card = load_net(checkpoint, trust)
    content = read_checkpoint(checkpoint)
    step = content.get("global_step")
    weights = net_weights(content)
    checksum = weights_checksum(weights)
    scores, data = run_scores(Path(checkpoint), step, checksum, card.class_names, kept=content.get(SCORES))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    provenance = replace(
        card.provenance,
        version=__version__,
        step=step,
        parameters=parameters,
        checksum=checksum,
        scores=scores,
        data=data,
    )
    card = replace(card, provenance=provenance)
    write_release(Path(out), card, weights, readme(card, Path(out).name))
    miou = "no scores" if scores is None else f"miou {scores['miou'] or 0:.4f} ({scores['split']})"
    plain_console().print(f"{out}: {parameters / 1e6:.1f} M parameters, {card.num_classes} classes, {miou}")


def run_scores(
    checkpoint: Path, step: Any, weights: str, class_names: Sequence[str], kept: Any = None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Scores of a checkpoint's weights, and their data; None, and a line on stderr with the reason, if unknown.

    Args:
        checkpoint: Path RUN/checkpoints/NAME.ckpt; RUN/scores.json of the last evaluation is used first.
        step: Optimizer steps of the checkpoint, which identify the scores if they have no checksum.
        weights: `weights_checksum` of the checkpoint.
        class_names: Names of the checkpoint's classes.
        kept: Scores in the checkpoint, of the last validation before it was saved.
    """
    path = checkpoint.absolute().parent.parent / SCORES_FILE
    try:
        last = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = None
    if _is_of(last, step, weights, class_names):
        return last, fingerprint(path.with_name(FILE), last)
    if isinstance(kept, dict) and _is_of(kept.get("scores"), step, weights, class_names):
        return kept["scores"], kept.get("data")
    recipe = path.with_name(RECIPE_FILE)
    command = f"seglight test -c {recipe} --ckpt_path {checkpoint} --run_dir {path.parent}"
    if not recipe.is_file():  # a checkpoint of a Trainer of the user's own
        command = f"seglight.evaluate({str(checkpoint)!r}, data, run_dir={str(path.parent)!r})"
    say(
        f"released without scores: neither {path} nor the checkpoint has scores of these weights: score them with "
        f"`{command}`, then release"
    )
    return None, None


def _is_of(scores: Any, step: Any, weights: str, class_names: Sequence[str]) -> bool:
    """Whether scores belong to weights."""
    try:
        same = scores["weights"] == weights if scores.get("weights") else scores["step"] == step
        return bool(same and list(scores["iou"]) == list(class_names))
    except (AttributeError, KeyError, TypeError):
        return False


def fingerprint(path: Path, scores: dict[str, Any]) -> dict[str, Any] | None:
    """A run's `ScoredImages.fingerprint`; None if the file is missing, or of another evaluation than the scores."""
    try:
        scored = ScoredImages.load(path)
    except UserError:
        return None
    if content_of(scored.counts.confusion()) != scores["confusion"]:
        return None
    return scored.fingerprint()


def main(args: list[str]) -> None:
    """Run `release`.

    Raises:
        UserError: See `release`, or the arguments are wrong.
    """
    parser = new_parser("release", __doc__)
    parser.add_argument("checkpoint", type=str, help="checkpoint of `seglight fit`")
    parser.add_argument("--out", type=str, required=True, help="folder to write")
    parser.add_argument("--trust", type=str, nargs="+", default=[], help="further packages the checkpoint may name")
    config = parse_arguments(parser, args[1:])
    release(config.checkpoint, config.out, config.trust)
