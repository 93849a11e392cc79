"""Whole-image prediction at the image's own size."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglight.inference import WholeImage


class Brightness(nn.Module):
    """Class 1 where the mean of the 4x4 block around a pixel is above 128; knows nothing of its surroundings."""

    def forward(self, image: Tensor) -> Tensor:
        assert image.shape[-1] % 32 == image.shape[-2] % 32 == 0
        mean = F.avg_pool2d(image.float().mean(1, keepdim=True), 4)
        return torch.cat([torch.full_like(mean, 128), mean], 1)


@pytest.mark.parametrize("size", [(1, 1), (33, 45), (64, 32), (100, 31)])
def test_constant_image_of_any_size(size: tuple[int, int]) -> None:
    images = torch.stack([torch.full((3, *size), value, dtype=torch.uint8) for value in (10, 200)])
    labels = WholeImage().labels(Brightness(), images)
    assert labels.dtype == torch.uint8
    assert labels.shape == (2, *size)
    assert (labels[0] == 0).all()
    assert (labels[1] == 1).all()


def test_equals_pad_net_upsample_argmax_crop() -> None:
    image = torch.randint(0, 256, (1, 3, 41, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    padded = F.pad(image.float(), (0, 96 - 70, 0, 64 - 41), mode="replicate")
    logits = F.interpolate(Brightness()(padded), (64, 96), mode="bilinear", align_corners=False)
    gap = (logits[:, 1] - logits[:, 0]).abs()[:, :41, :70]
    expected = logits.argmax(1)[:, :41, :70]
    assert 0.2 < expected.float().mean() < 0.8
    assert torch.equal(WholeImage().labels(Brightness(), image).long()[gap > 1e-4], expected[gap > 1e-4])


def test_keeps_no_graph() -> None:
    seen: list[bool] = []
    net = nn.Conv2d(3, 2, 1)
    net.register_forward_hook(lambda module, inputs, out: seen.append(out.requires_grad))
    WholeImage().labels(nn.Sequential(Floats(), net), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    assert seen == [False]


class Floats(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float()


def test_probabilities_are_the_softmax_of_the_upsampled_logits() -> None:
    image = torch.randint(0, 256, (2, 3, 41, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    padded = F.pad(image.float(), (0, 96 - 70, 0, 64 - 41), mode="replicate")
    logits = F.interpolate(Brightness()(padded), (64, 96), mode="bilinear", align_corners=False)
    expected = logits.softmax(1)[..., :41, :70]
    torch.testing.assert_close(WholeImage().probabilities(Brightness(), image), expected, rtol=0, atol=1e-4)
