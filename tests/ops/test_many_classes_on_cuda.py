"""Labels of 1,000 classes, and images of 16 bits, on a GPU: the CPU's results, by kernels that are there."""

import pytest
import torch

from seglight.images.bands import Bands
from seglight.losses import CrossEntropy, Dice, LovaszSoftmax
from seglight.metrics import ConfusionMatrix
from seglight.models.encoders.band_inputs import BandInputs
from seglight.ops.upsample import upsampled_argmax

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

CLASSES, IGNORE = 1000, 65535


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, CLASSES, (2, 24, 28), generator=generator, dtype=torch.int32)
    mask[:, :3] = IGNORE
    return 3 * torch.randn(2, CLASSES, 6, 7, generator=generator), mask


@pytest.mark.parametrize("kind", [CrossEntropy, Dice, LovaszSoftmax])
def test_losses(kind: type) -> None:
    logits, mask = drawn()
    expected = kind(IGNORE)(logits, mask)
    torch.testing.assert_close(kind(IGNORE).cuda()(logits.cuda(), mask.cuda()).cpu(), expected, rtol=1e-5, atol=0)


def test_counts() -> None:
    logits, mask = drawn()
    labels = upsampled_argmax(logits, (24, 28))
    metrics = ConfusionMatrix(CLASSES, IGNORE, per_image=True), ConfusionMatrix(CLASSES, IGNORE, per_image=True).cuda()
    metrics[0].update(labels, mask)
    metrics[1].update(labels.cuda(), mask.cuda())
    assert torch.equal(metrics[1].compute().cpu(), metrics[0].compute())
    assert (metrics[1].image_counts().confusion() == metrics[0].image_counts().confusion()).all()


def test_images_of_16_bits_are_normalised() -> None:
    bands = Bands(("a", "b"), "uint16", (900.0, 20_000.0), (300.0, 9000.0), nodata=0)
    image = torch.randint(0, 65536, (1, 2, 9, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint16)
    mean, std = torch.tensor([[[[900.0]], [[20_000.0]]]]), torch.tensor([[[[300.0]], [[9000.0]]]])
    expected = BandInputs(bands)(image, mean, std)
    found = BandInputs(bands).cuda()(image.cuda(), mean.cuda(), std.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-6, atol=1e-6)
