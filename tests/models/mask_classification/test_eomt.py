"""EoMT: its masks fade out by fractions of the run, draws depend on seed and step only, and outputs fit any image.

Parity with transformers is in tests/parity/test_eomt.py.
Covers: models.mask_classification.annealing, models.mask_classification.heads,
models.mask_classification.query_net.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from seglight.checkpoints.net_config import build_net, describe_net
from seglight.errors import UserError
from seglight.models import EoMT, PlainViT, TimmEncoder
from seglight.models.mask_classification import annealing
from seglight.models.mask_classification.annealing import MaskAnnealing, equal_phases
from tests.support.small_vits import FAMILIES

CLASSES, QUERIES, BLOCKS = 3, 4, 2


def net(name: str = "small_dinov2", **options: Any) -> EoMT:
    torch.manual_seed(0)
    return EoMT(CLASSES, PlainViT(name, None), QUERIES, BLOCKS, **options)


def image(*size: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(256, (2, 3, *size), dtype=torch.uint8)


@pytest.mark.parametrize("name", FAMILIES)
def test_outputs_end_where_the_image_does(name: str) -> None:
    made = net(name)
    trained = made(image(50, 33))
    evaluated = made.eval()(image(50, 33))
    assert len(trained.aux) == BLOCKS
    assert not evaluated.aux
    for output in (trained, *trained.aux, evaluated):
        assert output.class_logits.shape == (2, QUERIES, CLASSES + 1)
        assert output.mask_logits.shape == (2, QUERIES, 13, 9)
    (trained.mask_logits.mean() + trained.class_logits.mean()).backward()
    assert all(parameter.grad is not None for parameter in made.parameters())
    assert made.heads == ("predictor.class_head.",)


def test_masks_fade_out_as_in_the_published_recipe() -> None:
    # configs/dinov2/ade20k/semantic: steps of a run of 39,120
    starts, ends = zip(*equal_phases(4), strict=True)
    assert [round(39120 * start) for start in starts] == [6520, 13040, 19560, 26080]
    assert [round(39120 * end) for end in ends] == [13040, 19560, 26080, 32600]
    masks = MaskAnnealing(equal_phases(2))
    for fraction, expected in [(0.0, (1, 1)), (0.25, (1, 1)), (0.375, (0.5**0.9, 1)), (0.5, (0, 1)), (0.75, (0, 0))]:
        masks.set_progress(fraction)
        assert masks.probabilities == pytest.approx(expected)


def rows(fraction: float, seed: int = 0) -> list[Tensor | None]:
    masks = MaskAnnealing([(0.0, 0.5), (0.5, 1.0)], seed)
    masks.set_progress(fraction)
    return masks.rows(400, 10)


def test_draws_are_a_function_of_seed_and_progress() -> None:
    first, second = rows(0.25)
    assert first is not None
    assert second is not None
    assert second.all()
    assert first.float().mean().item() == pytest.approx(0.5**0.9, abs=0.03)
    torch.manual_seed(5)
    again = rows(0.25)[0]
    assert again is not None
    assert torch.equal(first, again)
    for other in (rows(0.25, seed=1)[0], rows(0.25000001)[0]):
        assert other is not None
        assert not torch.equal(first, other)
    assert rows(0.5)[0] is None
    assert rows(1.0) == [None, None]


def test_accumulated_batches_draw_as_one_batch_does() -> None:
    whole, parts = (MaskAnnealing([(0.0, 0.5), (0.0, 1.0)]) for _ in range(2))
    for masks in (whole, parts):
        masks.rows(3, 7)  # of an earlier step
        masks.set_progress(0.25)
    found = [parts.rows(4, 7), parts.rows(2, 7)]
    for block, rows in enumerate(whole.rows(6, 7)):
        assert rows is not None
        both = [part[block] for part in found]
        assert torch.equal(rows, torch.cat([drawn for drawn in both if drawn is not None]))
    assert not torch.equal(rows[:2], rows[4:])


def test_processes_draw_as_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(images: int) -> Tensor:
        masks = MaskAnnealing([(0.0, 1.0)])
        masks.set_progress(0.5)
        (rows,) = masks.rows(images, 9)
        assert rows is not None
        return rows

    whole = drawn(6)
    monkeypatch.setattr(annealing, "world_size", lambda: 2)
    for process in range(2):
        monkeypatch.setattr(annealing, "rank", lambda process=process: process)
        assert torch.equal(drawn(3), whole[process::2])


def test_a_resumed_run_draws_as_one_that_was_not_interrupted() -> None:
    made, resumed = net(), net(seed=0)
    made.set_progress(0.1)
    made.set_progress(0.4)
    resumed.load_state_dict(made.state_dict())
    torch.manual_seed(7)
    resumed.set_progress(0.4)
    one, other = made(image(64, 64)), resumed(image(64, 64))
    assert torch.equal(one.mask_logits, other.mask_logits)
    assert all(torch.equal(a.mask_logits, b.mask_logits) for a, b in zip(one.aux, other.aux, strict=True))


def test_checkpoints_hold_how_evaluation_masks() -> None:
    made = net().eval()
    assert made.masking.in_evaluation == (True, True)
    made.set_progress(0.5)
    fresh = net(seed=3).eval()
    fresh.load_state_dict(made.state_dict())
    assert fresh.masking.in_evaluation == (False, True)
    assert torch.equal(made(image(64, 64)).mask_logits, fresh(image(64, 64)).mask_logits)


def test_an_annealed_net_is_one_pass_of_the_encoder() -> None:
    made = net().eval()
    made.set_progress(1.0)
    calls = []
    made.predictor.register_forward_hook(lambda *_: calls.append(1))
    made(image(64, 64))
    assert calls == [1]


def test_a_net_is_built_again_from_its_description() -> None:
    made = net(annealing=[(0.0, 0.5), (0.5, 1.0)])
    again: Any = build_net(describe_net(made), CLASSES)
    again.load_state_dict(made.state_dict())
    assert again.masking.phases == [(0.0, 0.5), (0.5, 1.0)]
    assert torch.equal(again.eval()(image(64, 64)).mask_logits, made.eval()(image(64, 64)).mask_logits)


@pytest.mark.slow
def test_a_compiled_net_is_compiled_again_only_where_a_block_ends_its_masks() -> None:
    made, eager = net(), net()
    counter = CompileCounter()
    compiled: Any = torch.compile(made, backend=counter)
    frames = []
    for fraction in (0.0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9):
        made.set_progress(fraction)
        eager.set_progress(fraction)
        assert torch.equal(compiled(image(64, 64)).mask_logits, eager(image(64, 64)).mask_logits)
        frames.append(counter.frame_count)
    assert frames[0] == frames[3]
    assert frames[4] == frames[5] == frames[0] + 1
    assert frames[6] == frames[7] == frames[0] + 2


def test_the_net_can_be_exported() -> None:
    made = net().eval()
    made.set_progress(1.0)
    x = image(64, 64)
    program = torch.export.export(made, (x,), strict=False).module()
    torch.testing.assert_close(program(x).mask_logits, made(x).mask_logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"num_blocks": 5}, "num_blocks 5"),
        ({"num_blocks": 0}, "num_blocks 0"),
        ({"num_queries": 0}, "num_queries 0"),
        ({"num_blocks": 5, "annealing": [(0.0, 1.0)] * 5}, "has 4 blocks"),
        ({"annealing": [(0.0, 1.0)]}, "one for each of 4 blocks"),
        ({"annealing": [(0.5, 0.5)] * 4}, "two fractions"),
        ({"encoder": TimmEncoder("resnet18", None)}, "PlainViT"),
    ],
)
def test_what_is_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError, match=what):
        EoMT(**{"num_classes": CLASSES, "encoder": PlainViT("small_augreg", None), **options})
