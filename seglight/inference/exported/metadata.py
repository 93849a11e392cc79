"""What an exported file says about itself: one JSON string under the key `seglight`. Imports no torch."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from seglight.errors import UserError

KEY = "seglight"
"""Where a file keeps its Metadata: metadata_props of ONNX, rt_info of OpenVINO, an extra file of torch.export."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Metadata:
    """The classes of an exported net, and where it comes from.

    Attributes:
        class_names: By class index.
        palette: An RGB colour for each class.
        ignore_index: Mask value that counted for nothing in training.
        version: Of seglight, when it was exported.
        checksum: SHA-256 of the checkpoint's weights.
        precision: "float32" or "int8".
        size: (H, W) that the graph takes; None: any.
    """

    class_names: tuple[str, ...]
    palette: tuple[Color, ...]
    ignore_index: int
    version: str
    checksum: str
    precision: str
    size: tuple[int, int] | None

    def to_json(self) -> str:
        """As it stands in the file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None, path: Path) -> "Metadata":
        """What stands in a file.

        Raises:
            UserError: The file is not of `seglight export`, or what it says cannot be.
        """
        try:
            read = json.loads(text or "")
            size = read["size"] and (int(read["size"][0]), int(read["size"][1]))
            metadata = cls(
                class_names=tuple(map(str, read["class_names"])),
                palette=tuple((int(r) & 255, int(g) & 255, int(b) & 255) for r, g, b in read["palette"]),
                ignore_index=int(read["ignore_index"]),
                version=str(read["version"]),
                checksum=str(read["checksum"]),
                precision=str(read["precision"]),
                size=size or None,
            )
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise UserError(f"{path}: not a file of `seglight export`: it does not say what its classes are") from error
        if not metadata.class_names or len(metadata.palette) != len(metadata.class_names):
            raise UserError(f"{path}: damaged: it names {len(metadata.class_names)} classes and other colours")
        return metadata
