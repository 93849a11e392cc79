"""FrozenEoMT: only the decoder trains, its blocks are DINOv3's, and it fits any image."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DINOv3ViTConfig, DINOv3ViTModel

from seglight.errors import UserError
from seglight.models import FrozenEoMT, PlainViT
from seglight.models.mask_classification.frozen_eomt import evenly_spaced
from seglight.models.mask_classification.plain_vit import Positions, run_block
from tests.support.small_vits import FAMILIES

CLASSES, QUERIES = 3, 4


def net(name: str = "small_dinov3", **options: Any) -> FrozenEoMT:
    torch.manual_seed(0)
    return FrozenEoMT(CLASSES, PlainViT(name, None), QUERIES, **{"num_blocks": 2, **options})


def image(*size: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(256, (2, 3, *size), dtype=torch.uint8)


@pytest.mark.parametrize("name", FAMILIES)
def test_only_the_decoder_trains(name: str) -> None:
    made = net(name).train()
    assert not made.encoder.training
    assert made.laterals.training
    trained = made(image(50, 33))
    assert len(trained.aux) == 2
    sum(each.mask_logits.square().mean() + each.class_logits.mean() for each in (trained, *trained.aux)).backward()
    for key, parameter in made.named_parameters():
        assert (parameter.grad is None) == key.startswith("encoder."), key
    evaluated = made.eval()(image(50, 33))
    for output in (trained, *trained.aux, evaluated):
        assert output.class_logits.shape == (2, QUERIES, CLASSES + 1)
        assert output.mask_logits.shape == (2, QUERIES, 13, 9)


def test_features_are_evenly_spaced_as_in_the_paper() -> None:
    made = net(features=[1, 3])
    assert len(made.laterals) == 2
    assert net().features == [0, 1, 2, 3]
    assert evenly_spaced(24) == [5, 11, 17, 23]
    assert evenly_spaced(12) == [2, 5, 8, 11]


def test_features_are_those_of_the_encoder() -> None:
    made = net()
    x = image(48, 64)
    features, positions = made.encoded(x)
    (last,) = made.encoder(x)
    patches = features[-1][:, made.encoder.prefix :].transpose(1, 2).reshape(last.shape)
    assert positions.grid == (3, 4)
    torch.testing.assert_close(patches, last)


def test_blocks_are_those_of_dinov3() -> None:
    """With the same weights a block gives what one of transformers' DINOv3 gives, rotary embeddings included."""
    made = net().eval()
    config = DINOv3ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128, num_register_tokens=4,
        layer_norm_eps=1e-5, image_size=64,
    )  # fmt: skip
    peer = DINOv3ViTModel(config).eval()
    theirs = dict(peer.named_modules())
    layer = next(part for name, part in theirs.items() if name.endswith(("layer.0", "layers.0")))
    ours: Any = made.blocks[0]
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    attention = layer.attention
    with torch.no_grad():
        ours.attn.qkv.weight.copy_(torch.cat([getattr(attention, f"{part}_proj").weight for part in "qkv"]))
        for own, other in (
            (ours.attn.q_bias, attention.q_proj.bias),
            (ours.attn.v_bias, attention.v_proj.bias),
            (ours.gamma_1, layer.layer_scale1.lambda1),
            (ours.gamma_2, layer.layer_scale2.lambda1),
        ):
            own.copy_(other)
        for part, other in (
            (ours.attn.proj, attention.o_proj),
            (ours.norm1, layer.norm1),
            (ours.norm2, layer.norm2),
            (ours.mlp.fc1, layer.mlp.up_proj),
            (ours.mlp.fc2, layer.mlp.down_proj),
        ):
            part.load_state_dict(other.state_dict())
        x = torch.randn(2, 5 + 12, 32)
        rope = next(part for name, part in theirs.items() if name.endswith("rope_embeddings"))
        expected = layer(x, position_embeddings=rope(torch.zeros(1, 3, 48, 64)))
        found = run_block(ours, Positions((3, 4), made.rope.get_embed(shape=[3, 4])), x)
    torch.testing.assert_close(found, expected[0] if isinstance(expected, tuple) else expected, atol=1e-5, rtol=1e-4)


def test_masks_fade_out_as_in_eomt() -> None:
    made = net().eval()
    masked = made(image(64, 64)).mask_logits
    made.set_progress(1.0)
    assert not torch.equal(made(image(64, 64)).mask_logits, masked)
    assert made.masking.in_evaluation == (False, False)


@pytest.mark.parametrize("features", [[], [4], [-1]])
def test_what_is_refused(features: list[int]) -> None:
    with pytest.raises(UserError, match="has 4 blocks"):
        net(features=features)
