"""Sums over real processes, against the sums written out."""

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from seglight.system.ranks import sum_over_ranks, world_size
from tests.support.processes import in_processes


def shares(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """A float scalar, a count beyond what float32 holds, and a matrix."""
    return torch.tensor(0.5 + rank), torch.tensor(2**24 + rank), torch.full((2, 3), 10.0**rank)


def add_up(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=3)
    beyond_float64 = torch.tensor(2**60 + rank)
    torch.save((world_size(), *sum_over_ranks(*shares(rank)), *sum_over_ranks(beyond_float64)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_three_processes(tmp_path: Path) -> None:
    in_processes(3, add_up, str(tmp_path))
    for rank in range(3):
        size, total, count, matrix, large = torch.load(tmp_path / f"{rank}.pt")
        assert size == 3
        assert total == 4.5
        assert (count.dtype, int(count)) == (torch.int64, 3 * 2**24 + 3)
        assert torch.equal(matrix, torch.full((2, 3), 111.0))
        assert int(large) == 3 * 2**60 + 3


def test_one_process_gets_its_own() -> None:
    own = shares(1)
    assert world_size() == 1
    assert all(torch.equal(a, b) for a, b in zip(sum_over_ranks(*own), own, strict=True))
