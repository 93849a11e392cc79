"""What an exported file holds about itself: one JSON string under the key `seglight`. Imports no torch."""

import json
from dataclasses import dataclass
from pathlib import Path

from seglight.checkpoints.model_card import ModelCard
from seglight.errors import UserError

KIND = "a file of `seglight export`"


@dataclass(frozen=True)
class Metadata:
    """The card of an exported net, and what is true of its graph only.

    ONNX keeps it in metadata_props, OpenVINO in rt_info, torch.export in an extra file.

    Attributes:
        card: Model card of the net.
        precision: "float32" or "int8".
        size: (H, W) of the images that the graph takes; None: any size.
        batch: Whether the graph takes any number of images of one size; otherwise one.
    """

    card: ModelCard
    precision: str
    size: tuple[int, int] | None
    batch: bool = False

    def to_json(self) -> str:
        """Text that is kept in the file."""
        own = {"precision": self.precision, "size": self.size, "batch": self.batch}
        return json.dumps({**self.card.to_dict(), **own})

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> "Metadata":
        """Read the text of a file.

        Args:
            text: Text that the file holds; None: it holds none.
            path: The file, for the error message.

        Raises:
            UserError: The file is not one of `seglight export`, or its text is damaged.
        """
        try:
            content = json.loads(text or "")
            precision = str(content["precision"])
            size = content["size"] and (int(content["size"][0]), int(content["size"][1]))
            batch = content.get("batch", False) is True  # files of earlier versions take one image
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise UserError(f"{path}: not {KIND}: it holds no description of its classes and its graph") from error
        return cls(ModelCard.from_dict(content, path, KIND), precision, size or None, batch)
