"""What a net costs and sees, against nets worked by hand, recurrences over layers, and published figures."""

import pytest
import timm
import torch
from torch import Tensor, nn

from seglight.images.bands import Bands
from seglight.models.bands import use_bands
from seglight.models.costs import Costs, costs, inference_costs
from seglight.models.encoders.normalized import NormalizedEncoder

CPU = torch.device("cpu")


class Floats(nn.Module):
    """A body that takes floats, as a net that takes uint8."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, image: Tensor) -> Tensor:
        x = image.float()
        for part in self.children():
            x = part(x)
        return x


def by_part(net: nn.Module, size: tuple[int, int]) -> dict[str, Costs]:
    return {row.part: row for row in costs(net, size, CPU)}


def field(layers: list[tuple[int, int, int]]) -> int:
    """The receptive field of a chain of layers (kernel, stride, dilation): r += (k - 1) d j, j *= s."""
    rows, jump = 1, 1
    for kernel, stride, dilation in layers:
        rows += (kernel - 1) * dilation * jump
        jump *= stride
    return rows


def test_a_net_worked_by_hand() -> None:
    body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
    rows = by_part(Floats(body=body, head=nn.Conv2d(8, 5, 1, bias=False)), (64, 96))
    assert list(rows) == ["body", "head", ""]
    pixels = 32 * 48
    assert [row.parameters for row in rows.values()] == [3 * 8 * 9 + 8, 40, 3 * 8 * 9 + 8 + 40]
    assert [row.multiply_adds for row in rows.values()] == [pixels * 3 * 8 * 9, pixels * 40, pixels * (216 + 40)]
    # the first convolution keeps its input, ReLU its output, which is what the head keeps too
    kept = 4 * (3 * 64 * 96 + 8 * pixels)
    assert [row.activation_bytes for row in rows.values()] == [kept, 0, kept]
    assert [row.strides for row in rows.values()] == [[2], [2], [2]]
    assert [row.receptive_field for row in rows.values()] == [3, 3, 3]
    assert rows[""].seconds is not None
    whole = inference_costs(Floats(body=body, head=nn.Conv2d(8, 5, 1, bias=False)), (64, 96), CPU)
    assert whole[:2] == (3 * 8 * 9 + 8 + 40, pixels * (216 + 40))
    assert whole.seconds > 0


@pytest.mark.parametrize(
    "layers",
    [
        [(3, 1, 1)] * 3,
        [(7, 2, 1), (3, 2, 1), (3, 1, 2), (3, 1, 12)],
        [(4, 4, 1), (2, 2, 1), (5, 1, 3)],
        [(1, 1, 1)],
    ],
    ids=str,
)
def test_receptive_field_of_a_chain(layers: list[tuple[int, int, int]]) -> None:
    """Also where weights are zero at random: what counts is what may be, not what is."""
    convs = [nn.Conv2d(3, 3, k, s, padding=d * (k // 2), dilation=d) for k, s, d in layers]
    chain = nn.Sequential(*(layer for conv in convs for layer in (conv, nn.BatchNorm2d(3), nn.ReLU())))
    assert by_part(Floats(chain=chain), (64, 64))[""].receptive_field == field(layers)


def test_receptive_field_with_pooling_is_the_published_one() -> None:
    """VGG16 up to its last pooling: 212 (Araujo et al. 2019, distill.pub/2019/computing-receptive-fields)."""
    layers: list[nn.Module] = []
    for count in (2, 2, 3, 3, 3):
        for _ in range(count):
            layers += [nn.Conv2d((layers and 2) or 3, 2, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    assert by_part(Floats(vgg=nn.Sequential(*layers)), (64, 64))[""].receptive_field == 212


def test_what_sees_everything() -> None:
    assert by_part(Floats(last=nn.AdaptiveAvgPool2d(1)), (64, 64))[""].receptive_field is None


def test_resnet50_is_what_its_authors_and_torchvision_say() -> None:
    """25,557,032 parameters and 4.09 G multiply-adds at 224 x 224."""
    whole = by_part(Floats(net=timm.create_model("resnet50")), (224, 224))[""]
    assert whole.parameters == 25_557_032
    assert whole.multiply_adds / 1e9 == pytest.approx(4.09, abs=0.005)
    assert whole.strides == []  # it gives no map


class Stem(NormalizedEncoder):
    """One convolution of stride 2."""

    out_channels, strides = [8], [2]

    def __init__(self) -> None:
        super().__init__((0.5,) * 3, (0.2,) * 3)
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.stem(self.normalized(image))]


def test_images_of_other_bands() -> None:
    stem = Stem()
    use_bands(stem, Bands(("a", "b", "c", "d"), "int16", (0.0,) * 4, (1.0,) * 4, nodata=0, ratios={"r": ("a", "b")}))
    rows = by_part(stem, (64, 96))
    assert rows["stem"].multiply_adds == 32 * 48 * 5 * 8 * 9
    assert rows["stem"].receptive_field == 3
    assert inference_costs(stem, (64, 96), CPU).multiply_adds == 32 * 48 * 5 * 8 * 9
