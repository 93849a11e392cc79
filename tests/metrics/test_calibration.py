"""Calibration errors against torchmetrics and NumPy, temperatures against SciPy's search over all logits."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError

from seglight.metrics import BestTemperature, CalibrationError
from tests.support.processes import in_processes

IGNORE = 255


def scored_pixels(classes: int, sharpness: float, images: int = 3) -> tuple[Tensor, Tensor]:
    """Logits (B, C, 6, 5) and labels (B, 23, 19) that agree with them now and then."""
    generator = torch.Generator().manual_seed(classes)
    logits = sharpness * torch.randn(images, classes, 6, 5, generator=generator)
    noise = torch.rand(images, 23, 19, generator=generator)
    best = upsampled(logits).argmax(1)
    target = torch.where(noise < 0.6, best, torch.randint(0, classes, best.shape, generator=generator))
    return logits, target.masked_fill(noise > 0.9, IGNORE)


def upsampled(logits: Tensor) -> Tensor:
    return F.interpolate(logits, (23, 19), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(("classes", "bins"), [(2, 15), (11, 15), (150, 10)])
def test_errors_equal_torchmetrics(classes: int, bins: int, temperature: float) -> None:
    logits, target = scored_pixels(classes, 3.0)
    ours = CalibrationError(IGNORE, bins, temperature)
    for some in (slice(0, 1), slice(1, 3)):
        ours.update(logits[some], target[some].to(torch.uint8))
    probability = upsampled(logits / temperature).softmax(1)
    for norm, value in (("l1", ours.compute().ece), ("max", ours.compute().mce)):
        theirs = MulticlassCalibrationError(classes, bins, norm, IGNORE, validate_args=True)
        theirs.update(probability, target)
        assert float(value) == pytest.approx(float(theirs.compute()), abs=1e-6)


def test_reliability_table_equals_numpy() -> None:
    logits, target = scored_pixels(11, 3.0)
    metric = CalibrationError(IGNORE)
    metric.update(logits, target)
    table = metric.compute()
    probability = upsampled(logits).softmax(1).numpy()
    kept = target.numpy() != IGNORE
    confidence, right = probability.max(1)[kept], (probability.argmax(1) == target.numpy())[kept]
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        assert int(table.pixels[m]) == inside.sum()
        if inside.any():
            assert float(table.confidence[m]) == pytest.approx(confidence[inside].mean(dtype=np.float64), abs=1e-7)
            assert float(table.accuracy[m]) == pytest.approx(right[inside].mean())
        else:
            assert math.isnan(table.accuracy[m])


def test_by_hand() -> None:
    """Three pixels of confidence 0.9 of which two are right, one of 0.6 that is wrong, one ignored."""
    confidence = torch.tensor([[[0.9, 0.9, 0.9, 0.6, 0.6]]])
    logits = torch.stack([confidence, 1 - confidence], 1).log()
    metric = CalibrationError(IGNORE, bins=10)
    metric.update(logits, torch.tensor([[[0, 0, 1, 1, IGNORE]]]))
    result = metric.compute()
    assert float(result.ece) == pytest.approx((3 * abs(2 / 3 - 0.9) + 0.6) / 4, abs=1e-6)
    assert float(result.mce) == pytest.approx(0.6, abs=1e-6)
    assert result.pixels.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 3, 0]  # (0.5, 0.6] and (0.8, 0.9]


def test_half_precision_logits_are_divided_in_float32() -> None:
    logits, target = scored_pixels(11, 3.0)
    errors = []
    for given in (logits.bfloat16(), logits.bfloat16().float()):
        metric = CalibrationError(IGNORE, temperature=1.7)
        metric.update(given, target)
        errors.append(metric.compute().ece)
    assert errors[0] == errors[1]


def test_nothing_counted_is_nan() -> None:
    logits, target = scored_pixels(3, 1.0)
    error, temperature = CalibrationError(IGNORE), BestTemperature(IGNORE)
    error.update(logits, torch.full_like(target, IGNORE))
    temperature.update(logits, torch.full_like(target, IGNORE))
    assert math.isnan(error.compute().ece)
    assert math.isnan(error.compute().mce)
    assert math.isnan(temperature.compute())


@pytest.mark.parametrize("classes", [2, 11, 150])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 2.0, 5.0, 12.0])
def test_temperature_is_that_of_a_search_over_all_logits(classes: int, sharpness: float) -> None:
    logits, target = scored_pixels(classes, sharpness)
    metric = BestTemperature(IGNORE)
    for k in range(3):
        metric.update(logits[k : k + 1], target[k : k + 1])
    full = upsampled(logits).double()

    def nll(log_temperature: float) -> float:
        return float(F.cross_entropy(full / math.exp(log_temperature), target, ignore_index=IGNORE))

    bounds = (math.log(1 / 8), math.log(16))
    found = math.exp(minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-7}).x)
    assert float(metric.compute()) == pytest.approx(found, rel=1e-3)


def test_a_temperature_beyond_the_grid_is_its_end() -> None:
    logits, _ = scored_pixels(5, 1.0)
    best, worst = upsampled(logits).argmax(1), upsampled(logits).argmin(1)
    for target, end in ((best, 1 / 8), (worst, 16)):
        metric = BestTemperature(IGNORE)
        metric.update(logits, target)
        assert float(metric.compute()) == end


def count_share(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    logits, target = scored_pixels(11, 3.0, images=5)
    error, temperature = CalibrationError(IGNORE), BestTemperature(IGNORE)
    for k in range(rank, 5, 2):
        for metric in (error, temperature):
            metric.update(logits[k : k + 1], target[k : k + 1])
    torch.save((tuple(error.compute()), temperature.compute()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_same(tmp_path: Path) -> None:
    in_processes(2, count_share, str(tmp_path))
    logits, target = scored_pixels(11, 3.0, images=5)
    error, temperature = CalibrationError(IGNORE), BestTemperature(IGNORE)
    for metric in (error, temperature):
        metric.update(logits, target)
    for rank in range(2):
        errors, found = torch.load(tmp_path / f"{rank}.pt")
        for theirs, single in zip(errors, error.compute(), strict=True):
            assert torch.equal(theirs.nan_to_num(-1), single.nan_to_num(-1))  # integers in any order: to the last bit
        assert float(found) == pytest.approx(float(temperature.compute()), rel=1e-9)
