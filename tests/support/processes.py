"""Work done by several processes at once, as Lightning's launcher would start them, with a hard end."""

import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import multiprocessing


def in_processes(count: int, work: Callable[..., None], *args: Any, seconds: float = 150) -> None:
    """Run `work(rank, *args)` in `count` forks, which have imported everything already; those that hang are killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.start_processes(_start, (port, work, args), nprocs=count, join=False, start_method="fork")
    deadline = time.monotonic() + seconds
    while not context.join(timeout=max(0.0, deadline - time.monotonic())):
        if time.monotonic() >= deadline:
            for process in context.processes:
                process.kill()
            pytest.fail(f"{count} processes hang: not done after {seconds} s")


def _start(rank: int, port: int, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()} | {"GLOO_SOCKET_IFNAME": "lo"})
    rank_zero_only.rank = rank
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    warnings.simplefilter("default")
    work(rank, *args)
