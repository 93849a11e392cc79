"""Mask2Former over Swin as transformers saves it."""

import torch

from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family, Rules, State, renamed

SWIN = r"model\.pixel_level_module\.encoder\.(?:encoder\.|swin\.|model\.)*"
BLOCK = rf"{SWIN}layers\.(\d)\.blocks\.(\d+)\."
PIXEL = r"model\.pixel_level_module\.decoder\."
LAYER = rf"{PIXEL}encoder\.layers\.(\d+)\."
QUERIES = r"model\.transformer_module\."
QUERY_LAYER = rf"{QUERIES}decoder\.layers\.(\d+)\."
RULES: Rules = (
    (rf"{SWIN}embeddings\.patch_embeddings\.projection\.", "encoder.net.patch_embed.proj."),
    (rf"{SWIN}embeddings\.norm\.", "encoder.net.patch_embed.norm."),
    (rf"{BLOCK}layernorm_before\.", r"encoder.net.layers_\1.blocks.\2.norm1."),
    (rf"{BLOCK}layernorm_after\.", r"encoder.net.layers_\1.blocks.\2.norm2."),
    (rf"{BLOCK}attention\.self\.relative_", r"encoder.net.layers_\1.blocks.\2.attn.relative_"),
    (rf"{BLOCK}attention\.output\.dense\.", r"encoder.net.layers_\1.blocks.\2.attn.proj."),
    (rf"{BLOCK}intermediate\.dense\.", r"encoder.net.layers_\1.blocks.\2.mlp.fc1."),
    (rf"{BLOCK}output\.dense\.", r"encoder.net.layers_\1.blocks.\2.mlp.fc2."),
    (rf"{BLOCK}", r"encoder.net.layers_\1.blocks.\2."),
    # merged patches are the beginning of timm's next stage
    (rf"{SWIN}layers\.(\d)\.downsample\.", lambda found: f"encoder.net.layers_{int(found[1]) + 1}.downsample."),
    (rf"{SWIN}hidden_states_norms\.stage(\d)\.", lambda found: f"pixel_decoder.norms.{int(found[1]) - 1}."),
    (rf"{PIXEL}input_projections\.", "pixel_decoder.projections."),
    (rf"{PIXEL}level_embed", "pixel_decoder.level_embed"),
    (rf"{LAYER}self_attn\.sampling_offsets\.", r"pixel_decoder.layers.\1.attention.offsets."),
    (rf"{LAYER}self_attn\.attention_weights\.", r"pixel_decoder.layers.\1.attention.weights."),
    (rf"{LAYER}self_attn\.value_proj\.", r"pixel_decoder.layers.\1.attention.value."),
    (rf"{LAYER}self_attn\.output_proj\.", r"pixel_decoder.layers.\1.attention.project."),
    (rf"{LAYER}self_attn_layer_norm\.", r"pixel_decoder.layers.\1.norm1."),
    (rf"{LAYER}final_layer_norm\.", r"pixel_decoder.layers.\1.norm2."),
    (rf"{LAYER}", r"pixel_decoder.layers.\1."),
    (rf"{PIXEL}adapter_1\.", "pixel_decoder.lateral."),
    (rf"{PIXEL}layer_1\.", "pixel_decoder.smooth."),
    (rf"{PIXEL}mask_projection\.", "pixel_decoder.masks."),
    (rf"{QUERIES}queries_features\.", "mask_decoder.queries."),
    (rf"{QUERIES}queries_embedder\.", "mask_decoder.query_positions."),
    (rf"{QUERIES}level_embed\.", "mask_decoder.level_embed."),
    (rf"{QUERY_LAYER}cross_attn_layer_norm\.", r"mask_decoder.layers.\1.norm1."),
    (rf"{QUERY_LAYER}self_attn_layer_norm\.", r"mask_decoder.layers.\1.norm2."),
    (rf"{QUERY_LAYER}final_layer_norm\.", r"mask_decoder.layers.\1.norm3."),
    (rf"{QUERY_LAYER}cross_attn\.out_proj\.", r"mask_decoder.layers.\1.cross.project."),
    (rf"{QUERY_LAYER}cross_attn\.", r"mask_decoder.layers.\1.cross."),
    (rf"{QUERY_LAYER}self_attn\.out_proj\.", r"mask_decoder.layers.\1.own.project."),
    (rf"{QUERY_LAYER}self_attn\.q_proj\.", r"mask_decoder.layers.\1.own.query."),
    (rf"{QUERY_LAYER}self_attn\.k_proj\.", r"mask_decoder.layers.\1.own.key."),
    (rf"{QUERY_LAYER}self_attn\.v_proj\.", r"mask_decoder.layers.\1.own.value."),
    (rf"{QUERY_LAYER}", r"mask_decoder.layers.\1."),
    (rf"{QUERIES}decoder\.layernorm\.", "mask_decoder.norm."),
    (
        rf"{QUERIES}decoder\.mask_predictor\.mask_embedder\.(\d)\.0\.",
        lambda found: f"mask_decoder.mask_head.{2 * int(found[1])}.",
    ),
    (r"class_predictor\.", "mask_decoder.class_head."),
)


def convert(state: State) -> State:
    """Joined projections of the encoder, split ones of the decoder. The encoder's last norm is no part of the net."""
    new = renamed({name: value for name, value in state.items() if not _unused(name)}, RULES)
    for name in [name for name in new if ".attention.self.query." in name]:
        parts = [new.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        new[name.replace(".attention.self.query.", ".attn.qkv.")] = torch.cat(parts)
    for name in [name for name in new if ".cross.in_proj_" in name]:
        start, kind = name.split("in_proj_")
        for part, value in zip(("query", "key", "value"), new.pop(name).chunk(3), strict=True):
            new[f"{start}{part}.{kind}"] = value
    return new


def _unused(name: str) -> bool:
    encoder = name.startswith("model.pixel_level_module.encoder.")
    return name.startswith("criterion.") or (encoder and (".layernorm." in name or "position_index" in name))


MASK2FORMER = Family(
    "transformers Mask2Former", r"model\.pixel_level_module\.decoder\.", convert, IMAGENET_MEAN, IMAGENET_STD
)
