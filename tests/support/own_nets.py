"""Nets of users whose constructors are written in ways that the package's own are not."""

from enum import Enum
from typing import Any

from torch import Tensor, nn

from seglight.interfaces import Encoder, Net
from seglight.models import EncoderDecoder


class Size(Enum):
    SMALL = 4
    LARGE = 8


class Patches(Net):
    """One convolution at stride 4, and a head: the base of the nets below."""

    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, width, 4, stride=4)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(image.float() / 255))
        return logits


class KeywordOnly(Patches):
    def __init__(self, *, num_classes: int) -> None:
        super().__init__(num_classes)


class Default(Patches):
    def __init__(self, num_classes: int = 8, width: int = 4) -> None:
        super().__init__(num_classes, width)


class Activated(Patches):
    """Its activation is a class, and its size an enumeration."""

    def __init__(self, num_classes: int, act: type[nn.Module] = nn.ReLU, size: Size = Size.SMALL) -> None:
        super().__init__(num_classes, size.value)
        self.head = nn.Sequential(act(), self.head)


class Untyped(Patches):
    """Its activation has no annotation, so that no recipe can name one."""

    def __init__(self, num_classes: int, act=nn.ReLU) -> None:  # type: ignore[no-untyped-def]
        super().__init__(num_classes)
        self.head = nn.Sequential(act(), self.head)


class Named(Patches):
    def __init__(self, num_classes: int, name: str = "a") -> None:
        super().__init__(num_classes)


class Stem(Encoder):
    """It takes no `weights`."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, width, 4, stride=4)
        self.out_channels = [width]
        self.strides = [4]

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.body(image.float() / 255)]


class Forwarding(EncoderDecoder):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class ForwardingDefault(EncoderDecoder):
    def __init__(self, num_classes: int = 8, **kwargs: Any) -> None:
        super().__init__(num_classes, **kwargs)


class Forgetful(Patches):
    """Its `__new__` keeps no arguments."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Forgetful":
        return nn.Module.__new__(cls)


class OfOptimizer(Patches):
    """Its argument is a class that is no part of a net."""

    def __init__(self, num_classes: int, kind: type = nn.Module) -> None:
        super().__init__(num_classes)
