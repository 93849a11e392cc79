"""A limit on the memory that building a net may allocate: a configuration of a few bytes can ask for terabytes."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class AllocationLimit(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Within it new tensors have so many bytes in all, also counting those that are gone again.

    Raises:
        ValueError: They would have more; nothing is allocated.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = limit

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Ask the meta device for the size of what is made of no other tensor."""
        kwargs = kwargs or {}
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves((args, kwargs))):
            new = func(*args, **{**kwargs, "device": torch.device("meta")})
            self.left -= new.nbytes if isinstance(new, Tensor) else 0
            if self.left < 0:
                raise ValueError("it asks for more memory than its weights can fill")
        return func(*args, **kwargs)
