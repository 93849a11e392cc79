"""Copies of tensors to the host that are under way while the host goes on."""

from collections.abc import Sequence

import torch
from torch import Tensor


class HostCopy:
    """Tensors on their way to the host, which waits for them when it reads them: not for work that it gives meanwhile.

    Args:
        tensors: Tensors of one device; those on the CPU are taken as they are.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self.arrived: torch.cuda.Event | None = None
        if any(tensor.is_cuda for tensor in tensors):
            self.tensors = [torch.empty_like(tensor, device="cpu", pin_memory=True) for tensor in tensors]
            for target, tensor in zip(self.tensors, tensors, strict=True):
                target.copy_(tensor, non_blocking=True)
            self.arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self.arrived.record()

    def read(self) -> list[Tensor]:
        """The tensors on the CPU."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return [tensor.cpu() for tensor in self.tensors]
