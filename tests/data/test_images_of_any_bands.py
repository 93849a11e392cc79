"""Images of other bands than three: every step takes them as they are, or says in one line that it does not.

Covers: data.classes.
"""

import inspect
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

import seglight
from seglight.__main__ import main
from seglight.checkpoints.checkpoint import load_net
from seglight.data import Augmentation, SegmentationDataModule
from seglight.data.augmentation.windows import Window, cut
from seglight.data.classes import Classes
from seglight.data.dataset import SegmentationDataset
from seglight.errors import UserError
from seglight.images.draw import shown
from seglight.inference import SlidingWindow, TestTimeAugmentation, WholeImage
from seglight.inference.torch_predictor import load_torch
from seglight.inference.within_memory import WithinMemory
from tests.support import fabricate

BANDS = (1, 2, 3, 4, 5, 13)
STILL: dict[str, Any] = {"scale": (1.0, 1.0), "flip": 0.0, "photometric": 0.0}


def sample(bands: int, size: tuple[int, int] = (32, 40)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (*size, bands), np.uint8), fabricate.labels(rng, size, range(3))


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize(
    ("window", "crop"),
    [
        (Window(3, 5, 20, 24), (20, 24)),
        (Window(3, 5, 20, 24), (40, 48)),
        (Window(0, 0, 32, 40), (17, 13)),
        (Window(-5, -7, 60, 70), (60, 70)),
        (Window(-5, -7, 60, 70), (32, 32)),
        (Window(31, 39, 4, 4), (16, 16)),
    ],
)
def test_each_band_is_cut_as_it_is_by_itself(bands: int, window: Window, crop: tuple[int, int]) -> None:
    image, _ = sample(bands)
    found = cut(image, window, crop, cv2.INTER_LINEAR, 128)
    expected = [cut(np.ascontiguousarray(image[..., k]), window, crop, cv2.INTER_LINEAR, 128) for k in range(bands)]
    np.testing.assert_array_equal(found, np.stack(expected, 2), strict=True)


@pytest.mark.parametrize("bands", BANDS)
def test_flips_and_padding_of_each_band(bands: int) -> None:
    image, mask = sample(bands)
    flipped, labels = Augmentation((32, 40), **STILL | {"flip": 1.0})(image, mask, (0, 0, 0))
    np.testing.assert_array_equal(flipped, image[:, ::-1], strict=True)
    np.testing.assert_array_equal(labels, mask[:, ::-1], strict=True)
    padded, labels = Augmentation(48, **STILL)(image, mask, (0, 0, 0))
    assert padded.shape == (48, 48, bands)
    assert (padded[labels == 255] == 128).all()
    np.testing.assert_array_equal(padded[labels != 255], image.reshape(-1, bands))


@pytest.mark.parametrize("bands", BANDS)
def test_colours_are_those_of_three_bands(bands: int) -> None:
    image, mask = sample(bands)
    augmentation = Augmentation(24)
    if bands == 3:
        assert augmentation(image, mask, (0, 0, 0))[0].shape == (24, 24, 3)
        return
    said = re.escape(f"augmentation.photometric needs RGB images, and these have {bands} bands: set data.aug")
    with pytest.raises(UserError, match=said):
        augmentation(image, mask, (0, 0, 0))


def transforms() -> dict[str, Any]:
    """All of albumentations that are built without arguments."""
    found = {}
    for name, kind in inspect.getmembers(A, inspect.isclass):
        if issubclass(kind, A.BasicTransform):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found[name] = kind()
                except Exception:  # wants arguments
                    continue
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(transforms()))
def test_every_transform_keeps_the_bands_or_is_refused_in_one_line_that_names_it(name: str) -> None:
    """At the first sample, however rarely it is applied."""
    for bands in BANDS:
        image, mask = sample(bands, (40, 40))
        transform = transforms()[name]
        transform.p = 0.0
        try:
            found, labels = Augmentation(40, **STILL, extra=[transform])(image, mask, (0, 0, 0))
        except UserError as error:
            said = str(error)
        else:
            np.testing.assert_array_equal(found, image, strict=True)
            np.testing.assert_array_equal(labels, mask, strict=True)
            continue
        assert said.startswith(f"augmentation.extra: {name} ")
        assert "remove it" in said
        assert "\n" not in said


@pytest.mark.parametrize(
    ("transform", "bands", "said"),
    [
        (A.CLAHE(p=0.1), 4, "CLAHE fails on an image of 4 bands, uint8: "),
        (A.ToGray(p=0.1), 5, "ToGray fails on an image of 5 bands, uint8: "),
        (A.RGBShift(p=0.1), 4, "RGBShift fails on an image of 4 bands, uint8: "),
        (A.ToFloat(p=0.1), 3, "ToFloat gives ndarray of float32 (40, 40, 3) and ndarray of uint8 (40, 40)"),
        (A.Normalize(p=0.1), 4, "Normalize gives ndarray of float32 (40, 40, 4)"),
        (A.ToTensorV2(p=0.1), 3, "ToTensorV2 gives Tensor of uint8 (3, 40, 40)"),
        (
            A.ToRGB(p=0.1),
            1,
            "ToRGB gives ndarray of uint8 (40, 40, 3) and ndarray of uint8 (40, 40) as image and mask, ",
        ),
    ],
)
def test_what_a_transform_is_refused_for(transform: Any, bands: int, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"augmentation.extra: {said}")):
        Augmentation(40, **STILL, extra=[transform])(*sample(bands, (40, 40)), (0, 0, 0))


def test_transforms_that_fit_give_what_they_gave() -> None:
    """They are tried before the first sample, which draws nothing that later samples would draw."""
    extra = [A.Affine(rotate=(-30, 30), p=0.7), A.GaussNoise(p=0.5), A.CoarseDropout(p=0.5), A.Resize(24, 24)]
    image, mask = sample(3, (40, 40))
    augmentation = Augmentation(40, **STILL, extra=extra)
    found = [augmentation(image, mask, (0, 0, index))[0] for index in range(8)]
    plain, expected = A.Compose(list(extra)), []
    for index in range(8):
        rng = np.random.default_rng((0, 0, index))
        rng.uniform(1.0, 1.0)
        for _ in range(2):
            rng.integers(0, 1)
        rng.random()
        plain.set_random_seed(int(rng.integers(2**32)))
        expected.append(plain(image=image, mask=mask)["image"])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({one.tobytes() for one in found}) > 4


class Bands(SegmentationDataModule):
    """Drawn images of some bands, of which the last alone tells the classes apart; written as a user would write it."""

    def __init__(
        self,
        bands: int = 4,
        wrong: int | None = None,
        augmentation: Augmentation | None = None,
        cache: str | None = None,
        seed: int = 0,
    ) -> None:
        classes = Classes(("low", "middle", "high"), ((0, 0, 0), (0, 255, 0), (255, 0, 0)))
        super().__init__(classes, 2, 1, 0, seed, augmentation, cache)
        self.channels, self.wrong = bands, wrong

    def split(self, name: str) -> Any:
        return Drawn(self.channels, self.wrong, {"train": 6, "val": 2, "test": 2}[name])


class Drawn:
    fingerprint = "drawn"

    def __init__(self, bands: int, wrong: int | None, length: int) -> None:
        self.bands, self.wrong, self.length = bands, wrong, length

    def __len__(self) -> int:
        return self.length

    def sources(self, index: int) -> tuple[Path, ...]:
        return ()

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        rng = np.random.default_rng(index)
        mask = fabricate.labels(rng, (64, 64), range(3), block=16)
        image = rng.integers(0, 256, (64, 64, self.bands), np.uint8)
        image[..., -1] = 100 * mask + 20
        if self.wrong is not None:
            mask[3, 4] = self.wrong
        return image, mask, f"drawn {index}"


def net(bands: int) -> dict[str, Any]:
    encoder = {
        "class_path": "seglight.models.TimmEncoder",
        "init_args": {"name": "test_resnet", "weights": None, "in_channels": bands},
    }
    decoder = {"class_path": "seglight.models.decoders.FPN", "init_args": {"pyramid_channels": 8, "channels": 8}}
    return {"class_path": "seglight.models.EncoderDecoder", "init_args": {"encoder": encoder, "decoder": decoder}}


def recipe(path: Path, bands: int = 4, photometric: float = 0.0, in_channels: int | None = None, **data: Any) -> Path:
    augmentation = {"crop_size": 64, "photometric": photometric}
    init_args = {"bands": bands, "augmentation": augmentation, **data}
    content = {
        "trainer": {"accelerator": "cpu", "max_epochs": 2, "enable_progress_bar": False, "log_every_n_steps": 1},
        "model": {"net": net(bands if in_channels is None else in_channels)},
        "data": {"class_path": f"{__name__}.Bands", "init_args": init_args},
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on four bands: an epoch from the drawn samples, then resumed for another from their cache."""
    folder = tmp_path_factory.mktemp("bands")
    config, run = recipe(folder / "recipe.yaml"), ["--run_dir", str(folder / "run")]
    assert main(["cache", "-c", str(config), "--out", str(folder / "cache")]) == 0
    assert main(["fit", "-c", str(config), *run, "--trainer.max_epochs", "1"]) == 0
    cached = ["--data.init_args.cache", str(folder / "cache"), "--resume", "force"]
    assert main(["fit", "-c", str(config), *run, *cached]) == 0
    return folder


def test_four_bands_are_cached_trained_resumed_and_scored(trained: Path, seglight_cli: Callable[..., Any]) -> None:
    run = trained / "run"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
    ran = seglight_cli(
        "validate", "-c", run / "config.yaml", "--ckpt_path", run / "checkpoints" / "last.ckpt", "--run_dir", run,
        "--inferer", "seglight.inference.TestTimeAugmentation",
    )  # fmt: skip
    assert ran.rc == 0, ran.err
    with Image.open(run / "panels.png") as panels:
        sheet = np.asarray(panels)
    grey = Drawn(4, None, 2).read(0)[0].mean(2).round().repeat(2, 0).repeat(2, 1)  # small panels are enlarged
    parts = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], grey.shape)
    assert (parts == grey).all((2, 3)).sum() == 1


def test_a_cache_holds_all_bands(trained: Path) -> None:
    data = Bands(cache=str(trained / "cache"))
    data.setup("fit")
    for (image, mask, name), index in zip(map(data.splits["train"].read, range(6)), range(6), strict=True):
        expected = Drawn(4, None, 6).read(index)
        np.testing.assert_array_equal(image, expected[0])
        np.testing.assert_array_equal(mask, expected[1])
        assert name == expected[2]


def test_arrays_of_four_bands_are_predicted_in_every_way(trained: Path) -> None:
    path = trained / "run" / "checkpoints" / "last.ckpt"
    built, _ = load_net(path)
    images = [Drawn(4, None, 9).read(index)[0] for index in range(3)]
    expected = [WholeImage().labels(built, torch.from_numpy(one).permute(2, 0, 1)[None])[0].numpy() for one in images]
    for inferer in (WholeImage(), SlidingWindow(64), WithinMemory(2**40)):
        found = load_torch([path], "cpu", inferer).predict_batch(images)
        np.testing.assert_array_equal(found, expected)
    assert load_torch([path], "cpu", TestTimeAugmentation()).predict_batch(images)[0].shape == (64, 64)
    colours = images[0][..., :3]
    with pytest.raises(UserError, match=re.escape("is uint8 (64, 64, 3), and the net takes uint8 arrays (H, W, 4)")):
        load_torch([path], "cpu").predict_batch([colours])


def test_what_reads_files_refuses_a_net_of_four_bands_in_one_line(
    trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    path = trained / "run" / "checkpoints" / "last.ckpt"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    ran = seglight_cli("predict", path, tmp_path / "photo.png", "--out", tmp_path / "out")
    assert ran.rc == 1
    assert "photo.png: a PNG of 3 bands of uint8" in ran.err
    assert "64 x 64, and the net reads 4 bands of uint8 (band 1, band 2, band 3, band 4)" in ran.err
    with pytest.raises(UserError, match="an image is"):
        seglight.load(path).predict(np.zeros((64, 64, 3), np.uint8))


def test_costs_and_an_export_of_a_net_of_four_bands(
    trained: Path, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli("summary", "-c", trained / "recipe.yaml", "--size", "64x64")
    assert ran.rc == 0, ran.err
    path = trained / "run" / "checkpoints" / "last.ckpt"
    ran = seglight_cli("export", path, "--format", "onnx", "--size", "64x64", "--out", tmp_path / "net.onnx")
    assert ran.rc == 0, ran.err
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    image = Drawn(4, None, 9).read(0)[0]
    (labels,) = session.run(None, {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None])})
    np.testing.assert_array_equal(labels[0], load_torch([path], "cpu").predict_batch([image])[0])
    ran = seglight_cli("predict", tmp_path / "net.onnx", trained / "run" / "panels.png", "--out", tmp_path / "out")
    assert ran.rc == 1
    assert len([line for line in ran.err.splitlines() if "failed" in line]) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"photometric": 0.4}, "augmentation.photometric needs RGB images, and these have 4 bands"),
        ({"in_channels": 3}, "the net is for images of 3 channels, these have 4: set in_channels of "),
        ({"wrong": 9}, "drawn 0: the mask contains 9 (1 px), but there are 3 classes, 0 to 2, and 255 is ignored"),
    ],
)
def test_fit_refuses_what_does_not_fit_four_bands_in_one_line(
    options: dict[str, Any], said: str, tmp_path: Path, seglight_cli: Callable[..., Any]
) -> None:
    ran = seglight_cli("fit", "-c", recipe(tmp_path / "recipe.yaml", **options), "--run_dir", tmp_path / "run")
    assert ran.rc == 2
    assert said in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("image", "mask", "said"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), "the image is uint8 (8, 8)"),
        (torch.zeros(3, 8, 8), np.zeros((8, 8), np.uint8), "the image is Tensor"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 1), np.uint8), "the mask is uint8 (8, 8, 1)"),
    ],
)
def test_samples_of_other_shapes(image: Any, mask: Any, said: str) -> None:
    class Wrong(Drawn):
        def read(self, index: int) -> tuple[Any, Any, str]:
            return image, mask, "made up"

    with pytest.raises(UserError, match=re.escape(f"made up: {said}: a split's `read` gives it as an array (H, W")):
        SegmentationDataset(Wrong(3, None, 1))[0, 0]


def test_pictures_of_any_bands() -> None:
    image, _ = sample(4)
    assert shown(image[..., :3]) is not image
    np.testing.assert_array_equal(shown(image[..., :3]), image[..., :3])
    np.testing.assert_array_equal(shown(image)[..., 2], image.mean(2).round())
    np.testing.assert_array_equal(shown(image[..., :1])[..., 1], image[..., 0])
