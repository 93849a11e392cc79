"""Average the weights of several trainings of one net (model soups, Wortsman et al. 2022, arXiv 2203.05482)."""

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
from seglight.checkpoints.temperature import say_dropped
from seglight.commands.recipe import datamodule_from
from seglight.data import SegmentationDataModule
from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.errors import UserError
from seglight.images.bands import RGB
from seglight.ops.finite import check_weights, nonfinite
from seglight.system.atomic import atomic_path
from seglight.system.parsing import new_parser
from seglight.system.terminal import plain_console
from seglight.training.resume.folder import check_outside
from seglight.training.semantic import SegmentationModule

NORM_BATCHES = 100
"""Maximum number of training batches for the statistics of batch norms."""

State = dict[str, Tensor]


class SoupAverager:
    """Averages the weights of checkpoints of one net, and scores the result on the validation split.

    Args:
        checkpoints: Paths of checkpoints of trainings of one net.
        data: Data module with training images for batch norms and validation images for scores.

    Raises:
        UserError: A checkpoint can't be read, has another net or other classes than the data, or weights that are not
            finite.
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
            raise UserError(f"{path}: the checkpoint and the data have {difference}")
        trained = card.image or RGB
        difference = trained.difference(data.bands)
        if difference is None and (trained.mean, trained.std) != (data.bands.mean, data.bands.std):
            difference = f"{trained.line()} with other `mean` or `std`"  # which a soup would take the mean of
        if difference:
            raise UserError(f"{path}: the checkpoint and the data have {difference}: give the data of its training")
        state: State = net_weights(checkpoint)
        if card.net != self.card.net or state.keys() != self.net.state_dict().keys():
            raise UserError(f"{path}: the net differs from that of the first checkpoint: give checkpoints of one net")
        check_weights(state, path, nonfinite(self.net.state_dict()))
        say_dropped(path, card, "as it belongs to these weights and not to their mean")
        return state

    def score(self, state: State) -> float:
        """The mIoU of weights on the validation split."""
        self.net.load_state_dict(state)
        module = SegmentationModule(
            lambda _: self.net, self.data.num_classes, self.data.ignore_index, self.data.class_names, self.data.palette,
            channels_last=self.card.channels_last, bands=self.data.bands,
        )  # fmt: skip
        self.trainer.validate(module, self.data, verbose=False)
        assert module.scores is not None
        return module.scores.miou

    def average(self, states: Sequence[State]) -> State:
        """The mean of weights, with statistics of batch norms recomputed on training images."""
        self.net.load_state_dict(mean(states))
        device = self.trainer.strategy.root_device
        self.data.setup("fit")
        batches = islice(self.data.train_dataloader(), NORM_BATCHES)
        with torch.random.fork_rng():  # a training pass may draw random numbers, as dropout does
            torch.manual_seed(self.data.seed)
            update_bn((batch["image"] for batch in batches), self.net.to(device), device)
        return {key: value.detach().cpu().clone() for key, value in self.net.state_dict().items()}


def mean(states: Sequence[State]) -> State:
    """The mean of each tensor over state dicts, computed in float64; integer tensors are those of the first."""
    return {
        key: torch.stack([state[key].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first
        for key, first in states[0].items()
    }


def soup(checkpoints: Sequence[str], data: SegmentationDataModule, out: str, greedy: bool = False) -> float:
    """Average checkpoints, print the scores, and write an ordinary checkpoint; returns its mIoU on the val split.

    Args:
        checkpoints: Paths of checkpoints of trainings of one net.
        data: Data module with training images for batch norms and validation images for scores.
        out: Path of the checkpoint to write.
        greedy: Whether to start with the best checkpoint and add each other one, in the order of their scores, only if
            the score does not decrease (algorithm 1); otherwise all are averaged.

    Raises:
        UserError: The checkpoints do not match each other or the data, or the file would be among the data.
    """
    check_outside(Path(out), data.root if isinstance(data, FileDataModule) else None, "--out")
    averager = SoupAverager(checkpoints, data)
    console = plain_console()
    scored = [(averager.score(state), state, path) for path, state in zip(checkpoints, averager.states, strict=True)]
    for score, _, path in scored:
        console.print(f"{score:.4f}  {path}")
    scored.sort(key=lambda entry: entry[0], reverse=True)
    if greedy:
        best, result, _ = scored[0]
        kept = [result]
        for _, state, path in scored[1:]:
            candidate = averager.average([*kept, state])
            score = averager.score(candidate)
            console.print(f"{score:.4f}  with {path}: {'added' if score >= best else 'not added'}")
            if score >= best:
                best, result, kept = score, candidate, [*kept, state]
    else:
        kept = [state for _, state, _ in scored]
        result = averager.average(kept)
        best = averager.score(result)
    _write(Path(out), result, averager.card)
    console.print(f"{best:.4f}  {out}: the mean of {len(kept)} checkpoints, mIoU on the validation split")
    return best


def _write(path: Path, state: State, card: ModelCard) -> None:
    card = replace(card, temperature=None, provenance=Provenance())
    weights = {f"net.{key}": value for key, value in state.items()}
    with atomic_path(path) as part:
        torch.save({KEY: card.to_dict(), "state_dict": weights, "epoch": 0, "global_step": 0}, part)


def main(args: list[str]) -> None:
    """Run `soup`.

    Raises:
        UserError: As for `soup`, or the arguments are wrong.
    """
    parser = new_parser("soup", __doc__)
    parser.add_argument("checkpoints", type=str, nargs="+", help="checkpoints of trainings of one net")
    parser.add_argument("--out", type=str, required=True, help="the checkpoint to write")
    parser.add_argument("--greedy", action="store_true", help="add a checkpoint only if the score does not decrease")
    data, options = datamodule_from(parser, args[1:])
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # about unused devices, and advertisements
    soup(options.checkpoints, data, options.out, options.greedy)
