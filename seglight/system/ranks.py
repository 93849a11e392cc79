"""Sums over the processes of data-parallel training."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that train together; 1 without a process group.

    DistributedDataParallel averages gradients over them: the part of a process in a mean over the pixels of all
    processes is multiplied by this number.
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among those that train together, from 0; 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def sum_over_ranks(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Sum of each tensor over all processes, in one all-reduce; the tensors themselves in a single process.

    Every process has to call it equally often. Do not call it for batches of an evaluation, of which processes have
    different numbers. No gradient flows through it.

    Args:
        *tensors: Tensors of any dtype and shape, on one device; the shapes are equal in all processes. They are sent as
            int64, or as float64 if one of them is floating, in which counts are exact up to 2**53.

    Returns:
        Sums of the same dtypes and shapes.
    """
    if world_size() == 1:
        return tensors
    floating = any(tensor.is_floating_point() for tensor in tensors)
    dtype = torch.float64 if floating else torch.int64
    travelling = torch.cat([tensor.detach().flatten().to(dtype) for tensor in tensors])
    dist.all_reduce(travelling)
    parts = torch.split(travelling, [tensor.numel() for tensor in tensors])
    return tuple(part.to(tensor.dtype).view_as(tensor) for part, tensor in zip(parts, tensors, strict=True))


def mean_scale(mass: Tensor, over_ranks: bool) -> Tensor:
    """What a process's sum is multiplied by to become its part of a mean, float32; 0 where there is nothing.

    Args:
        mass: Scalar, what this process adds to what the mean divides by.
        over_ranks: The mean is over all processes, and DistributedDataParallel averages their parts.
    """
    if over_ranks:
        (mass,) = sum_over_ranks(mass)
    share = world_size() if over_ranks else 1
    return torch.where(mass > 0, share / mass, 0).float()
