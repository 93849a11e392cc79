"""Mask2Former over Swin gives the logits of transformers, from weights as `save_pretrained` writes them.

Covers: models.weights.mask2former.
"""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from seglight.models import Mask2Former, TimmEncoder, import_weights
from seglight.models.encoders.normalized import per_channel
from tests.support import small_vits

CLASSES, QUERIES, LAYERS = 5, 6, 4
assert timm.is_model(small_vits.small_swin.__name__)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def drawn_peer() -> Any:
    """Its parameters drawn, so that norms, offsets and positions matter and masks are of all sizes."""
    swin = SwinConfig(
        image_size=128, embed_dim=16, depths=[2, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=4, drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=1024,
        dim_feedforward=2048, encoder_layers=2, decoder_layers=LAYERS + 1, num_attention_heads=8, num_queries=QUERIES,
        num_labels=CLASSES, dropout=0.0,
    )  # fmt: skip
    peer = Mask2FormerForUniversalSegmentation(config)
    for name, parameter in peer.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2)
        elif "sampling_offsets" in name or "attention_weights" in name:
            nn.init.normal_(parameter, std=0.2)
        elif "relative_position" in name or "mask_embedder" in name:
            nn.init.normal_(parameter, std=0.3)
    nn.init.zeros_(peer.model.pixel_level_module.decoder.mask_projection.bias)
    return peer


def imported(peer: Any, folder: Path, classes: int = CLASSES) -> tuple[Mask2Former, Any]:
    peer.save_pretrained(folder)
    encoder = TimmEncoder("small_swin", None)
    net = Mask2Former(classes, encoder, QUERIES, 32, pixel_layers=2, layers=LAYERS, norm_features=True)
    return net, import_weights(net, folder / "model.safetensors")


def normalised(image: Tensor) -> Tensor:
    mean, std = per_channel("mean", (0.485, 0.456, 0.406), 3), per_channel("std", (0.229, 0.224, 0.225), 3)
    return (image - 255 * mean) / (255 * std)


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (64, 32)])
def test_same_outputs_and_auxiliary_outputs(size: tuple[int, int], tmp_path: Path) -> None:
    peer = drawn_peer()
    net, result = imported(peer, tmp_path)
    assert not result.fresh
    image = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    with torch.no_grad():
        theirs = peer.train()(normalised(image), output_auxiliary_logits=True)
        ours = net.train()(image)
        evaluated = net.eval()(image)
    pairs = [(each["masks_queries_logits"], each["class_queries_logits"]) for each in theirs.auxiliary_logits]
    pairs.append((theirs.masks_queries_logits, theirs.class_queries_logits))
    every = [*ours.aux, ours]
    assert len(every) == len(pairs) == LAYERS + 1
    inside = torch.stack([(each.mask_logits > 0).float().mean() for each in every])
    assert ((inside > 0.02) & (inside < 0.98)).sum() >= 3
    for output, (masks, classes) in zip(every, pairs, strict=True):
        torch.testing.assert_close(output.class_logits, classes, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(output.mask_logits, masks, atol=1e-4, rtol=1e-4)
    assert not evaluated.aux
    assert torch.equal(evaluated.mask_logits, ours.mask_logits)


def test_same_gradients(tmp_path: Path) -> None:
    peer = drawn_peer()
    net, _ = imported(peer, tmp_path)
    image = torch.randint(256, (1, 3, 64, 96), dtype=torch.uint8)
    ours = net.train()(image)
    theirs = peer.train()(normalised(image))
    (ours.mask_logits.square().mean() + ours.class_logits.square().mean()).backward()
    (theirs.masks_queries_logits.square().mean() + theirs.class_queries_logits.square().mean()).backward()
    embeddings = dict(peer.model.pixel_level_module.encoder.named_modules())
    norm = next(part for name, part in embeddings.items() if name.endswith("embeddings.norm"))
    pixel, theirs_pixel = net.pixel_decoder, peer.model.pixel_level_module.decoder
    for one, other in (
        (net.mask_decoder.queries.weight, peer.model.transformer_module.queries_features.weight),
        (pixel.layers[0].attention.offsets.weight, theirs_pixel.encoder.layers[0].self_attn.sampling_offsets.weight),
        (pixel.level_embed, theirs_pixel.level_embed),
        (net.encoder.net.patch_embed.norm.weight, norm.weight),
    ):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)


def test_class_heads_for_other_classes_stay_fresh(tmp_path: Path) -> None:
    _, result = imported(drawn_peer(), tmp_path, classes=9)
    assert result.fresh == ["mask_decoder.class_head.weight", "mask_decoder.class_head.bias"]
