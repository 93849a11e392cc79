"""Oxford-IIIT Pet: cats and dogs in front of their background (Parkhi et al. 2012, robots.ox.ac.uk/~vgg/data/pets).

    root/images/*.jpg  root/annotations/trimaps/*.png  root/annotations/{trainval,test}.txt

Trimaps contain 1 for the animal, 2 for the background and 3 for the outline between them, which the data set's README
calls "not classified": it is ignored here. torchvision returns all three values, and tutorials that score the outline
as a third class get another mIoU. Each fifth line of trainval.txt, which is sorted by breed, is in the `val` split, the
others are `train`; `test` is test.txt. Root may also be the parent folder, as for torchvision. The colours are ours.
"""

from seglight.data.classes import Classes
from seglight.data.datamodule import FileDataModule
from seglight.data.labels import LabelCodec
from seglight.data.pairs import FilePairs, existing_folder
from seglight.errors import UserError

CLASSES = Classes(names=("background", "pet"), palette=((0, 0, 0), (230, 120, 40)))
CODEC = LabelCodec({1: 1, 2: 0}, ignored=(3,))
HELD_OUT = 5
"""One line of trainval in so many is for validation."""


class OxfordIIITPetDataModule(FileDataModule):
    """Pets and background. Its images differ in size."""

    classes = CLASSES

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        above = self.root / "oxford-iiit-pet"
        root = above if above.is_dir() else self.root
        annotations = existing_folder(root / "annotations", "the lists and trimaps of Oxford-IIIT Pet")
        listing = annotations / ("test.txt" if name == "test" else "trainval.txt")
        if not listing.is_file():
            raise UserError(f"{listing}: the list of the {name} split is missing: unpack annotations.tar.gz again")
        # a line is the image's name, its breed, cat or dog, and the breed among these
        stems = [line.split()[0] for line in listing.read_text(encoding="utf-8").splitlines() if line.strip()]
        if name != "test":
            stems = [stem for k, stem in enumerate(stems, start=1) if (k % HELD_OUT == 0) == (name == "val")]
        if not stems:
            raise UserError(f"{listing}: too short for a {name} split: unpack annotations.tar.gz again")
        images = [root / "images" / f"{stem}.jpg" for stem in stems]
        return FilePairs(images, [annotations / "trimaps" / f"{stem}.png" for stem in stems], CODEC)
