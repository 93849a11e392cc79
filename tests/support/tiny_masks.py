"""A small net that predicts masks with classes, with dropout in it."""

import torch
from torch import Tensor, nn

from seglight.interfaces import MaskClassifier, MaskOutput


class TinyMaskNet(MaskClassifier):
    """Queries that read nothing but the mean of a feature map at a stride of four; notes the progress of the run."""

    def __init__(self, num_classes: int, queries: int = 6, dropout: float = 0.1) -> None:
        super().__init__(num_classes)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        self.queries = nn.Embedding(queries, 16)
        self.drop, self.classes = nn.Dropout(dropout), nn.Linear(16, num_classes + 1)
        self.heads = ("classes.",)
        self.progress: list[float] = []

    def set_progress(self, fraction: float) -> None:
        self.progress.append(fraction)

    def forward(self, image: Tensor) -> MaskOutput:
        features = self.body(image.float() / 255)
        queries = self.queries.weight + features.mean((2, 3)).unsqueeze(1)
        first = self._predicted(queries, features)
        last = self._predicted(self.drop(queries).relu(), features)
        return last._replace(aux=(first,) if self.training else ())

    def _predicted(self, queries: Tensor, features: Tensor) -> MaskOutput:
        return MaskOutput(self.classes(queries), torch.einsum("bqc,bchw->bqhw", queries, features))
