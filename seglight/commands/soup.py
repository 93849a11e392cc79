"""One net out of several trainings of it: the mean of their weights (Wortsman et al. 2022, arXiv 2203.05482)."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim.swa_utils import update_bn

from seglight.checkpoints.checkpoint import load_net, net_weights, read_checkpoint
from seglight.checkpoints.model_card import KEY, ModelCard, Provenance
from seglight.commands.recipe import datamodule_from
from seglight.data import SegmentationDataModule
from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.errors import UserError
from seglight.ops.finite import check_weights, nonfinite
from seglight.system.atomic import atomic_path
from seglight.system.parsing import new_parser
from seglight.system.terminal import plain_console
from seglight.training.resume.folder import check_outside
from seglight.training.semantic import SegmentationModule

NORM_BATCHES = 100
"""Training batches, at most, that the statistics of batch norms are made of."""

State = dict[str, Tensor]


class SoupAverager:
    """The net of the ingredients, and the data that decides what is good.

    Args:
        checkpoints: Of trainings of one net.
        data: Training images for batch norms, validation images for scores.

    Raises:
        UserError: A checkpoint can't be read, or is of another net, or of other classes than the data, or its weights
            are not finite.
    """

    def __init__(self, checkpoints: Sequence[str], data: SegmentationDataModule) -> None:
        self.net, self.card = load_net(checkpoints[0])
        self.states = [self._weights(path, data) for path in checkpoints]
        self.data = data
        self.trainer = Trainer(
            devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            use_distributed_sampler=False,
        )  # fmt: skip

    def _weights(self, path: str, data: SegmentationDataModule) -> State:
        checkpoint = read_checkpoint(path)
        card: ModelCard = checkpoint[KEY]
        difference = Classes(tuple(data.class_names), tuple(data.palette)).difference(card.classes)
        if difference:
            raise UserError(f"{path}: it and the data have {difference}")
        state: State = net_weights(checkpoint)
        if card.net != self.card.net or state.keys() != self.net.state_dict().keys():
            raise UserError(f"{path}: of another net than the first: only weights of one net have a mean")
        check_weights(state, path, nonfinite(self.net.state_dict()))
        return state

    def score(self, state: State) -> float:
        """The miou of weights on the validation split."""
        self.net.load_state_dict(state)
        module = SegmentationModule(
            lambda _: self.net, self.data.num_classes, self.data.ignore_index, self.data.class_names, self.data.palette,
            channels_last=self.card.channels_last,
        )  # fmt: skip
        self.trainer.validate(module, self.data, verbose=False)
        assert module.scores is not None
        return module.scores.miou

    def mixed(self, states: Sequence[State]) -> State:
        """The mean of weights, with the statistics of batch norms made anew from training images."""
        self.net.load_state_dict(mean(states))
        device = self.trainer.strategy.root_device
        self.data.setup("fit")
        batches = islice(self.data.train_dataloader(), NORM_BATCHES)
        with torch.random.fork_rng():  # a training pass may draw: for dropout, stochastic depth
            torch.manual_seed(self.data.seed)
            update_bn((batch["image"] for batch in batches), self.net.to(device), device)
        return {key: value.detach().cpu().clone() for key, value in self.net.state_dict().items()}


def mean(states: Sequence[State]) -> State:
    """The mean of each tensor over state dicts, in float64 on the way; counters are those of the first."""
    return {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first
        for key, first in states[0].items()
    }


def soup(checkpoints: Sequence[str], data: SegmentationDataModule, out: str, greedy: bool = False) -> float:
    """Mix, print the scores, and write an ordinary checkpoint; gives its miou on the validation split.

    Args:
        checkpoints: Of trainings of one net.
        data: Training images for batch norms, validation images for scores.
        out: The file to write.
        greedy: Begin with the best and keep of the others, in the order of their score, what makes it no worse
            (algorithm 1); otherwise all go in.

    Raises:
        UserError: The checkpoints do not go together, or not with the data, or the file would lie among the data.
    """
    check_outside(Path(out), data.root if isinstance(data, FileDataModule) else None, "--out")
    kitchen, console = SoupAverager(checkpoints, data), plain_console()
    scored = [(kitchen.score(state), state, path) for path, state in zip(checkpoints, kitchen.states, strict=True)]
    for score, _, path in scored:
        console.print(f"{score:.4f}  {path}")
    scored.sort(key=lambda entry: entry[0], reverse=True)
    if greedy:
        best, result, _ = scored[0]
        kept = [result]
        for _, state, path in scored[1:]:
            candidate = kitchen.mixed([*kept, state])
            score = kitchen.score(candidate)
            console.print(f"{score:.4f}  with {path}: {'kept' if score >= best else 'left out'}")
            if score >= best:
                best, result, kept = score, candidate, [*kept, state]
    else:
        kept = [state for _, state, _ in scored]
        result = kitchen.mixed(kept)
        best = kitchen.score(result)
    _write(Path(out), result, kitchen.card)
    console.print(f"{best:.4f}  {out}: a soup of {len(kept)}, miou on the validation split")
    return best


def _write(path: Path, state: State, card: ModelCard) -> None:
    card = replace(card, provenance=Provenance())
    weights = {f"net.{key}": value for key, value in state.items()}
    with atomic_path(path) as part:
        torch.save({KEY: card.to_dict(), "state_dict": weights, "epoch": 0, "global_step": 0}, part)


def main(args: list[str]) -> None:
    """Run `soup`.

    Raises:
        UserError: As `soup`, or the arguments are wrong.
    """
    parser = new_parser("soup", __doc__)
    parser.add_argument("checkpoints", type=str, nargs="+", help="checkpoints of trainings of one net")
    parser.add_argument("--out", type=str, required=True, help="the checkpoint to write")
    parser.add_argument("--greedy", action="store_true", help="keep only what makes the score no worse")
    data, options = datamodule_from(parser, args[1:])
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # devices that are not there, advertisements
    soup(options.checkpoints, data, options.out, options.greedy)
