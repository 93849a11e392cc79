"""Assignment of queries to masks at the smallest total cost."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def assign(costs: Tensor, counts: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """Assign queries to the masks of each image, for several outputs of a net, on one copy to the host.

    Kuhn 1955, "The Hungarian method for the assignment problem"; Carion et al. 2020, "End-to-End Object Detection with
    Transformers", section 3.1. The solver is that of scipy.

    Args:
        costs: (outputs, B, Q, T) cost of each query for each mask; one that is not finite is taken for the largest
            number, so that it is assigned only if nothing else is left.
        counts: Number of masks of each image, up to T; columns beyond it are not read.

    Returns:
        For each image the queries and the masks that belong together, int64 (outputs, min(Q, count)) on the device of
        the costs, queries in ascending order.
    """
    largest = float(np.finfo(np.float32).max)
    host = np.nan_to_num(costs.float().cpu().numpy(), nan=largest, posinf=largest, neginf=largest)
    pairs = [[linear_sum_assignment(cost[:, :count]) for cost in host[:, k]] for k, count in enumerate(counts)]
    tables = [np.array(image, dtype=np.int64).swapaxes(0, 1) for image in pairs]  # (2, outputs, pairs)
    widths = [table.shape[-1] for table in tables]
    device = torch.from_numpy(np.concatenate(tables, -1)).to(costs.device, non_blocking=True)
    return [(queries, masks) for queries, masks in torch.split(device, widths, -1)]
