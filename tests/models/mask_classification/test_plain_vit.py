"""Plain ViTs as tokens give what timm gives, of images of any size, and queries are masked as by one mask for all rows.

Covers: models.mask_classification.attention.
"""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from seglight.checkpoints.net_bands import use_bands
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.models import PlainViT
from seglight.models.mask_classification.attention import attend
from tests.support.small_vits import FAMILIES

ANY_SIZE = [name for name in FAMILIES if name != "small_beit"]


def encoder(name: str, **options: Any) -> PlainViT:
    """Its parameters drawn, so that scales, tokens and biases matter."""
    torch.manual_seed(0)
    made = PlainViT(name, None, **options)
    for key, parameter in made.named_parameters():
        if parameter.ndim == 1 or "token" in key or "pos" in key:
            nn.init.normal_(parameter, 1.0 if "norm" in key and key.endswith("weight") else 0.0, 0.3)
    return made.eval()


def image(*size: int) -> Tensor:
    return torch.randint(256, (2, 3, *size), dtype=torch.uint8)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_are_those_of_timm(name: str) -> None:
    ours = encoder(name)
    assert ours.stride == 16
    for size in [(64, 64), (48, 96)] if name in ANY_SIZE else [(64, 64)]:
        x = image(*size)
        with torch.no_grad():
            (found,) = ours(x)
            tokens = ours.net.forward_features(ours.normalized(x))
            if isinstance(ours.net.norm, nn.Identity):
                tokens = ours.net.fc_norm(tokens)
        theirs = tokens[:, ours.prefix :].transpose(1, 2).unflatten(2, (size[0] // 16, size[1] // 16))
        torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_images_of_any_size(name: str) -> None:
    ours = encoder(name)
    x = image(33, 50)
    padded = nn.functional.pad(x.float(), (0, 14, 0, 15), mode="replicate").byte()
    with torch.no_grad():
        (found,) = ours(x)
        (whole,) = ours(padded)
    assert found.shape == (2, 32, 3, 4)
    assert torch.equal(found, whole)


@pytest.mark.parametrize("name", ["small_dinov2", "small_dinov3", "small_eva02"])
def test_masked_queries_equal_one_mask_for_all_rows(name: str) -> None:
    ours = encoder(name)
    attention = ours.net.blocks[0].attn
    queries, patches, start = 5, 12, 5 + ours.prefix
    x = torch.randn(2, start + patches, 32)
    rope = None if name == "small_dinov2" else ours.net.rope.get_embed(shape=[3, 4])
    allowed = torch.rand(2, queries, patches) > 0.6
    allowed[0, 0] = False
    mask = torch.ones(2, 1, start + patches, start + patches, dtype=torch.bool)
    mask[:, 0, :queries, start:] = allowed
    if rope is None:
        theirs = attention(x, attn_mask=mask)
    else:
        attention.num_prefix_tokens = start
        theirs = attention(x, rope=rope, attn_mask=mask)
    torch.testing.assert_close(attend(attention, x, start, (3, 4), rope, allowed), theirs, atol=1e-6, rtol=1e-5)


def test_beit_has_no_bias_for_queries_and_masks_them() -> None:
    attention = encoder("small_beit").net.blocks[0].attn
    nn.init.normal_(attention.relative_position_bias_table)
    x = torch.randn(2, 3 + 1 + 16, 32)
    allowed = torch.rand(2, 3, 16) > 0.5
    q, k, v = (
        part.unflatten(2, (2, 16)).transpose(1, 2)
        for part in (
            x @ attention.qkv.weight.T + torch.cat((attention.q_bias, attention.k_bias, attention.v_bias))
        ).chunk(3, 2)
    )
    bias = torch.zeros(2, 2, 20, 20)
    index = attention.relative_position_index
    bias[:, :, 3:, 3:] = attention.relative_position_bias_table[index].permute(2, 0, 1)
    bias[:, :, :3, 4:] = bias[:, :, :3, 4:].masked_fill(~allowed[:, None], -torch.inf)
    y = ((q @ k.transpose(2, 3) / 4 + bias).softmax(3) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attend(attention, x, 4, (4, 4), None, allowed), attention.proj(y), atol=1e-5, rtol=1e-4)


def test_beit_biases_are_resized_from_the_longest_distance_to_the_longest() -> None:
    attention = encoder("small_beit").net.blocks[0].attn
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 7), torch.linspace(-1, 1, 7), indexing="ij")
    table = attention.relative_position_bias_table
    with torch.no_grad():
        table[:-3] = (rows + 2 * columns).flatten()[:, None]
        table[-3:] = 0.0
        for linear in (attention.qkv, attention.proj):
            nn.init.eye_(linear.weight[:32])
        attention.q_bias.zero_()
        attention.qkv.weight[:64].zero_()  # only the biases are left
        attention.qkv.weight[64:] = torch.eye(32)
        attention.v_bias.zero_()
        attention.proj.bias.zero_()
    places = [(row, column) for row in range(2) for column in range(3)]
    x = torch.randn(1, 1 + len(places), 32)
    bias = torch.zeros(1 + len(places), 1 + len(places))
    for i, (a, b) in enumerate(places, 1):
        for j, (c, d) in enumerate(places, 1):
            bias[i, j] = (a - c) + 2 * (b - d) / 2
    torch.testing.assert_close(attend(attention, x, 1, (2, 3)), bias.softmax(1) @ x, atol=1e-5, rtol=1e-4)


def test_activations_can_be_recomputed() -> None:
    gradients = []
    for recomputed in (False, True):
        ours = encoder("small_dinov2", checkpoint_activations=recomputed).train()
        torch.manual_seed(1)
        ours(image(64, 64))[0].square().mean().backward()
        gradients.append([parameter.grad for parameter in ours.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_layers_are_counted_for_layer_wise_rates() -> None:
    depths = encoder("small_augreg").depths()
    assert depths["net.blocks.3.norm1.weight"] < depths["net.blocks.0.norm1.weight"] < depths["net.pos_embed"]


def test_position_embeddings_can_be_stored_for_another_size() -> None:
    assert encoder("small_dinov2").net.pos_embed.shape == (1, 16, 32)
    assert encoder("small_dinov2", image_size=96).net.pos_embed.shape == (1, 36, 32)


def test_images_of_other_bands() -> None:
    ours = encoder("small_dinov2")
    rgb = ours.net.patch_embed.proj.weight.clone()
    bands = Bands(("nir", "red", "green", "blue"), "uint16", mean=(900.0, 500.0, 400.0, 300.0), std=(90.0,) * 4)
    use_bands(ours, bands)
    own = ours.net.patch_embed.proj.weight
    torch.testing.assert_close(own[:, 1:], rgb * 3 / 4)
    torch.testing.assert_close(own[:, 0], rgb.mean(1) * 3 / 4)
    assert ours(torch.full((1, 4, 40, 40), 500, dtype=torch.uint16))[0].shape == (1, 32, 3, 3)


def test_images_that_are_normalised_already_are_refused() -> None:
    with pytest.raises(UserError, match="normalises values from 0 to 255 by itself"):
        encoder("small_dinov2")(torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize(
    "name", ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3_qkvb", "deit_tiny_patch16_224"]
)
def test_published_models_are_plain(name: str) -> None:
    with torch.device("meta"):
        made = timm.create_model(name, num_classes=0)
    assert len(made.blocks) == 12
    assert PlainViT(name, None, image_size=32).stride == 16


@pytest.mark.parametrize(
    ("name", "size", "what"),
    [
        ("resnet18", None, "no plain ViT"),
        ("vit_tiny_r_s16_p8_224", None, "no plain ViT"),
        ("small_dinov2", 60, "multiple"),
    ],
)
def test_what_is_refused(name: str, size: int | None, what: str) -> None:
    with pytest.raises(UserError, match=what):
        PlainViT(name, None, image_size=size)
