"""Modules for images of other bands.

Covers: training.methods.factory, training.start_weights.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seglight.checkpoints.checkpoint import card_of
from seglight.checkpoints.model_card import KEY
from seglight.data.classes import Classes
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.training import AdversarialTraining, SegmentationModule

CLASSES = Classes(("ground", "field"), ((0, 0, 0), (0, 200, 0)))
BANDS = Bands(("red", "green", "blue"), "float32", (10.0,) * 3, (5.0,) * 3, nodata=-1.0)
NET: dict[str, Any] = {
    "class_path": "seglight.models.EncoderDecoder",
    "init_args": {
        "encoder": {"class_path": "seglight.models.TimmEncoder", "init_args": {"name": "test_resnet", "weights": None}},
        "decoder": {
            "class_path": "seglight.models.decoders.FPN",
            "init_args": {"pyramid_channels": 8, "channels": 8},
        },
    },
}


def module(bands: Bands) -> SegmentationModule:
    return SegmentationModule(NET, 2, 255, CLASSES.names, CLASSES.palette, bands=bands)


def saved(built: SegmentationModule) -> dict[str, Any]:
    card = card_of(built.net, built.net_config, CLASSES, 255, image=built.bands)
    return {"state_dict": built.state_dict(), KEY: card.to_dict(), "global_step": 0}


def test_a_module_of_other_bands_is_loaded_from_its_checkpoint_alone(tmp_path: Path) -> None:
    """Three bands of another type than uint8, whose weights would fit a net for 8-bit RGB as well."""
    built = module(BANDS)
    torch.save(saved(built), tmp_path / "a.ckpt")
    loaded = SegmentationModule.load_from_checkpoint(tmp_path / "a.ckpt")
    assert loaded.bands == BANDS
    image = torch.full((1, 3, 64, 64), 12.0)
    image[..., :20] = -1
    with torch.no_grad():
        assert torch.equal(loaded.eval()(image).logits, built.eval()(image).logits)


def test_a_run_is_not_resumed_with_images_that_its_net_reads_in_another_way() -> None:
    checkpoint = saved(module(BANDS))
    module(replace(BANDS, mean=(11.0,) * 3)).on_load_checkpoint(checkpoint)  # its weights hold the mean of the run
    with pytest.raises(UserError, match=r"^the checkpoint and the data have 3 bands .* with other `nodata`: declare"):
        module(replace(BANDS, nodata=0.0)).on_load_checkpoint(checkpoint)


def test_bands_that_were_only_renamed_are_told_how_to_resume() -> None:
    checkpoint = saved(module(BANDS))
    renamed = replace(BANDS, names=("heat", "green", "blue"))
    with pytest.raises(UserError, match=r"by name: those that were only renamed need their former names\): declare"):
        module(renamed).on_load_checkpoint(checkpoint)
    module(replace(BANDS, names=("B04", "B03", "B02"))).on_load_checkpoint(checkpoint)


@pytest.mark.parametrize("bands", [BANDS, Bands(nodata=0)])
def test_images_that_cannot_be_attacked_are_refused_before_a_training(bands: Bands) -> None:
    with pytest.raises(
        UserError, match=r"^model\.method AdversarialTraining: .*8-bit images .*: leave model.method out$"
    ):
        SegmentationModule(NET, 2, 255, CLASSES.names, CLASSES.palette, bands=bands, method=AdversarialTraining)


def test_members_of_an_ensemble_normalise_by_their_own_statistics(tmp_path: Path) -> None:
    described = (BANDS, replace(BANDS, mean=(20.0,) * 3, std=(2.0,) * 3, rgb=("red",)))
    members = [module(bands) for bands in described]
    paths = [str(tmp_path / f"{number}.ckpt") for number in range(2)]
    for path, member in zip(paths, members, strict=True):
        torch.save(saved(member), path)
    net = {"class_path": "seglight.models.Ensemble", "init_args": {"members": paths}}
    built = SegmentationModule(net, 2, 255, CLASSES.names, CLASSES.palette, bands=replace(BANDS, mean=(0.0,) * 3))
    torch.save(saved(built), tmp_path / "both.ckpt")
    image = 30 * torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = sum(member.eval()(image).logits.softmax(1) for member in members) / 2
        for ensemble in (built, SegmentationModule.load_from_checkpoint(tmp_path / "both.ckpt")):
            torch.testing.assert_close(ensemble.eval()(image).logits.softmax(1), expected)
    torch.save(saved(module(replace(BANDS, nodata=0.0))), paths[1])
    with pytest.raises(UserError, match=r"1\.ckpt: the first one and it have .* with other `nodata`: all members must"):
        SegmentationModule(net, 2, 255, CLASSES.names, CLASSES.palette, bands=BANDS)
    torch.save(saved(members[1]), paths[1])
    with pytest.raises(UserError, match="with other `nodata`: take a net that was trained on such images"):
        SegmentationModule(net, 2, 255, CLASSES.names, CLASSES.palette, bands=replace(BANDS, nodata=0.0))
