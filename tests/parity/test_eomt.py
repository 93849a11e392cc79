"""EoMT gives the logits of transformers' EoMT and EoMT-DINOv3, from weights as `save_pretrained` writes them.

Covers: models.weights.eomt.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from transformers import (
    EomtConfig,
    EomtDinov3Config,
    EomtDinov3ForUniversalSegmentation,
    EomtForUniversalSegmentation,
)

from seglight.interfaces import MaskOutput
from seglight.models import EoMT, PlainViT, import_weights
from seglight.models.encoders.normalized import per_channel
from tests.support.small_vits import FAMILIES

CLASSES, QUERIES, BLOCKS = 5, 6, 2
COMMON: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_queries": QUERIES,
    "num_blocks": BLOCKS,
    "num_labels": CLASSES,
    "image_size": 64,
}
SIZES = [(64, 64), (48, 96), (80, 32)]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def dinov2() -> Any:
    return EomtForUniversalSegmentation(EomtConfig(**COMMON))


def dinov3() -> Any:
    # timm's eps; the coordinates' augmentation in training is random
    config = EomtDinov3Config(**COMMON, intermediate_size=128, layer_norm_eps=1e-5, pos_embed_rescale=None)
    return EomtDinov3ForUniversalSegmentation(config)


PEERS = {"small_dinov2": dinov2, "small_dinov3": dinov3}
assert set(PEERS) <= set(FAMILIES)


def drawn(peer: Any) -> Any:
    """With parameters that matter: no norm is the identity, no token or bias is 0, masks are of all sizes."""
    for name, parameter in peer.named_parameters():
        if parameter.ndim == 1 or "token" in name or "position" in name:
            nn.init.normal_(parameter, 1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.3)
        elif "mask_head" in name or "_proj" in name:
            nn.init.normal_(parameter, std=0.3)
    nn.init.zeros_(peer.mask_head.fc3.bias)
    for block in peer.upscale_block.block:
        nn.init.zeros_(block.layernorm2d.bias)
    return peer


def imported(peer: Any, name: str, folder: Path, **options: Any) -> tuple[EoMT, Any]:
    peer.save_pretrained(folder)
    net = EoMT(CLASSES, PlainViT(name, None, image_size=64), QUERIES, BLOCKS, **options)
    return net, import_weights(net, folder / "model.safetensors")


def outputs_of(peer: Any, image: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Masks and classes of all predictions of the peer, the last one last, for images of any size."""
    height, width = (side // 16 for side in image.shape[-2:])
    if isinstance(peer, EomtForUniversalSegmentation):  # it reads images of one size only: its table is resized
        table = peer.embeddings.position_embeddings
        own = table.weight.detach().unsqueeze(0)
        resized = resample_abs_pos_embed(own, [height, width], [4, 4], num_prefix_tokens=0)
        peer.embeddings.position_embeddings = nn.Embedding.from_pretrained(resized[0])
        peer.embeddings.position_ids = torch.arange(height * width).unsqueeze(0)
    peer.grid_size = (height, width)
    found = []
    own_predict = type(peer).predict

    def predict(tokens: Tensor) -> tuple[Tensor, Tensor]:
        masks, classes = own_predict(peer, tokens)
        found.append((masks, classes))
        return masks, classes

    peer.predict = predict
    normalised = (image - 255 * mean()) / (255 * std())
    with torch.no_grad():
        peer(normalised)
    if isinstance(peer, EomtForUniversalSegmentation):
        peer.embeddings.position_embeddings = table
    return found


def mean() -> Tensor:
    return per_channel("mean", (0.485, 0.456, 0.406), 3)


def std() -> Tensor:
    return per_channel("std", (0.229, 0.224, 0.225), 3)


def assert_same(ours: MaskOutput, theirs: list[tuple[Tensor, Tensor]]) -> None:
    every = [*ours.aux, ours]
    assert len(every) == len(theirs)
    for output, (masks, classes) in zip(every, theirs, strict=True):
        torch.testing.assert_close(output.class_logits, classes, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(output.mask_logits, masks, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PEERS)
def test_same_outputs_with_and_without_masks(name: str, tmp_path: Path) -> None:
    peer = drawn(PEERS[name]())
    net, result = imported(peer, name, tmp_path)
    assert not result.fresh
    for size in SIZES:
        image = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
        net.eval()
        net.set_progress(1.0)
        peer.eval()
        peer.attn_mask_probs.zero_()
        with torch.no_grad():
            plain = net(image)
        assert_same(plain, outputs_of(peer, image))
        # in training all predictions, before blocks that mask all queries
        peer.train()
        peer.attn_mask_probs.fill_(1.0)
        theirs = outputs_of(peer, image)
        net.train()
        net.set_progress(0.0)
        with torch.no_grad():
            trained = net(image)
        assert len(trained.aux) == BLOCKS
        assert_same(trained, theirs)
        assert not torch.allclose(trained.mask_logits, plain.mask_logits, atol=1e-2)
        # a net that is not annealed masks in evaluation, too
        with torch.no_grad():
            evaluated = net.eval()(image)
        assert not evaluated.aux
        assert_same(evaluated, theirs[-1:])


def test_same_gradients(tmp_path: Path) -> None:
    peer = drawn(dinov2())
    net, _ = imported(peer, "small_dinov2", tmp_path)
    image = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    ours = net.train()(image)
    theirs = peer.train()((image - 255 * mean()) / (255 * std()))
    (ours.mask_logits.square().mean() + ours.class_logits.square().mean()).backward()
    (theirs.masks_queries_logits.square().mean() + theirs.class_queries_logits.square().mean()).backward()
    for one, other in (
        (net.queries.weight, peer.query.weight),
        (net.predictor.class_head.weight, peer.class_predictor.weight),
        (net.encoder.net.blocks[0].norm1.weight, peer.layers[0].norm1.weight),
        (net.encoder.net.patch_embed.proj.weight, peer.embeddings.patch_embeddings.projection.weight),
    ):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)


def test_class_heads_for_other_classes_stay_fresh(tmp_path: Path) -> None:
    peer = drawn(dinov2())
    peer.save_pretrained(tmp_path)
    net = EoMT(9, PlainViT("small_dinov2", None, image_size=64), QUERIES, BLOCKS)
    before = net.predictor.class_head.weight.clone()
    line = import_weights(net, tmp_path / "model.safetensors").line()
    assert "untrained: predictor.class_head.weight, predictor.class_head.bias" in line
    assert torch.equal(net.predictor.class_head.weight, before)
    assert torch.equal(net.queries.weight, peer.query.weight)


def test_published_masks_are_those_of_evaluation(tmp_path: Path) -> None:
    peer = dinov2()
    peer.attn_mask_probs.copy_(torch.tensor([0.0, 1.0]))
    net, _ = imported(peer, "small_dinov2", tmp_path)
    assert net.masking.in_evaluation == (False, True)


def test_the_authors_file_has_the_same_weights(tmp_path: Path) -> None:
    net, _ = imported(drawn(dinov2()), "small_dinov2", tmp_path)
    own = net.state_dict()
    theirs = {}
    for key, value in own.items():
        if key.startswith("encoder.net."):
            theirs[f"network.encoder.backbone.{key.removeprefix('encoder.net.')}"] = value
        elif key.startswith("predictor."):
            theirs[f"network.{key.removeprefix('predictor.')}"] = value
    theirs["network.q.weight"] = own["queries.weight"]
    theirs["network.attn_mask_probs"] = torch.zeros(BLOCKS)
    theirs["network.encoder.pixel_mean"] = torch.zeros(1, 3, 1, 1)
    theirs["criterion.empty_weight"] = torch.ones(CLASSES + 1)
    torch.save(theirs, tmp_path / "pytorch_model.bin")
    fresh = EoMT(CLASSES, PlainViT("small_dinov2", None, image_size=64), QUERIES, BLOCKS)
    import_weights(fresh, tmp_path / "pytorch_model.bin")
    assert all(torch.equal(fresh.state_dict()[key], value) for key, value in own.items() if key != "masking.masked")
    assert fresh.masking.in_evaluation == (False, False)


def test_the_authors_differences_are_added_to_the_encoder(tmp_path: Path) -> None:
    """Names as models/vit.py of github.com/tue-mps/eomt gives them to transformers' DINOv3."""
    peer = drawn(dinov3())
    net, _ = imported(peer, "small_dinov3", tmp_path)
    fresh = EoMT(CLASSES, PlainViT("small_dinov3", None), QUERIES, BLOCKS)
    start = fresh.encoder.net.state_dict()
    started = {}  # the encoder's initial weights by transformers' names
    for block in range(4):
        q, k, v = start[f"blocks.{block}.attn.qkv.weight"].chunk(3)
        names = {
            "attention.q_proj.weight": q, "attention.k_proj.weight": k, "attention.v_proj.weight": v,
            "attention.q_proj.bias": "attn.q_bias", "attention.v_proj.bias": "attn.v_bias",
            "attention.o_proj.weight": "attn.proj.weight", "attention.o_proj.bias": "attn.proj.bias",
            "layer_scale1.lambda1": "gamma_1", "layer_scale2.lambda1": "gamma_2",
            "mlp.up_proj.weight": "mlp.fc1.weight", "mlp.up_proj.bias": "mlp.fc1.bias",
            "mlp.down_proj.weight": "mlp.fc2.weight", "mlp.down_proj.bias": "mlp.fc2.bias",
        }  # fmt: skip
        names |= {f"norm{i}.{kind}": f"norm{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")}
        for theirs, ours in names.items():
            value = start[f"blocks.{block}.{ours}"] if isinstance(ours, str) else ours
            started[f"layers.{block}.{theirs}"] = value
    started |= {f"layernorm.{kind}": start[f"norm.{kind}"] for kind in ("weight", "bias")}
    started |= {f"embeddings.patch_embeddings.{kind}": start[f"patch_embed.proj.{kind}"] for kind in ("weight", "bias")}
    started |= {"embeddings.cls_token": start["cls_token"], "embeddings.register_tokens": start["reg_token"]}
    state = peer.state_dict()
    file = {}
    for key, value in started.items():
        name = key.replace("embeddings.", "patch_embed.", 1).replace("layers.", "blocks.", 1)
        file[f"network.encoder.backbone.{name.replace('layernorm.', 'norm.')}"] = state[key] - value
    for key, value in net.predictor.state_dict().items():
        file[f"network.{key}"] = value
    file |= {"network.q.weight": net.queries.weight.detach(), "network.attn_mask_probs": torch.zeros(BLOCKS)}
    torch.save(file, tmp_path / "pytorch_model.bin")
    assert "as differences" in import_weights(fresh, tmp_path / "pytorch_model.bin").line()
    image = torch.randint(256, (2, 3, 48, 64), dtype=torch.uint8)
    peer.eval()
    peer.attn_mask_probs.zero_()
    with torch.no_grad():
        assert_same(fresh.eval()(image), outputs_of(peer, image))
