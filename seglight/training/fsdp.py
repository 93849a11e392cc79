"""Fully sharded training: each process keeps its share of parameters, gradients and the optimizer's state."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard

from seglight.errors import UserError
from seglight.training.lightning_internals import set_data_parallel_size


class FSDP(ModelParallelStrategy):
    """Torch's `fully_shard` (FSDP2) of the net over all processes; checkpoints are whole, as those of one process.

    Parameters keep their names and shapes, so that weight decay and clipping are those of any other strategy; those of
    Lightning's `fsdp` are flat, and none of them would decay. Batch norms become `SyncBatchNorm`, which needs GPUs:
    nothing else keeps their running statistics equal. What a method trains beside the net is not supported.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """One group of all processes."""
        set_data_parallel_size(self, self.num_nodes * self.num_processes)
        super().setup_environment()

    def setup(self, trainer: Trainer) -> None:
        """Shard the net, after its weights were loaded and before the optimizer is built.

        Raises:
            UserError: The recipe needs whole weights, or trains weights outside of the net.
        """
        module: Any = self.lightning_module
        if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError("averages of weights (EMA, SWA) need them whole: use configs/cluster/ddp.yaml")
        if any(not parameter.is_contiguous() for parameter in module.net.parameters()):
            raise UserError("model.channels_last: sharded weights are contiguous: set it to false")
        outside = [name for name, _ in module.named_parameters() if not name.startswith("net.")]
        if outside:
            raise UserError(
                f"model.method trains {outside[0]} outside of the net, and only the net is sharded: use "
                "configs/cluster/ddp.yaml"
            )
        module.net = nn.SyncBatchNorm.convert_sync_batchnorm(module.net)  # type: ignore[no-untyped-call]
        self.net: FSDPModule = fully_shard(module.net, mesh=self.device_mesh["data_parallel"])
        module.configure_model = lambda: None  # where Lightning wants the sharding to be done
        super().setup(trainer)

    def on_validation_start(self) -> None:
        """Evaluate with whole weights: processes have different numbers of images, and none waits for another."""
        self.net.unshard()

    def on_validation_end(self) -> None:
        """Return to the shards, which the optimizer updates."""
        self.net.reshard()

    on_test_start, on_test_end = on_validation_start, on_validation_end
