"""EoMT as transformers and its authors save it, over DINOv2 and DINOv3."""

import torch

from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family, Rules, State, renamed

LAYER = r"layers\.(\d+)\."
HEADS: Rules = (
    (r"query\.", "queries."),
    (r"mask_head\.fc([123])\.", lambda found: f"predictor.mask_head.{2 * int(found[1]) - 2}."),
    (r"upscale_block\.block\.(\d+)\.layernorm2d\.", r"predictor.upscale.\1.norm."),
    (r"upscale_block\.block\.(\d+)\.", r"predictor.upscale.\1."),
    (r"class_predictor\.", "predictor.class_head."),
    (r"attn_mask_probs", "masking.masked"),
    (r"embeddings\.cls_token", "encoder.net.cls_token"),
    (r"embeddings\.register_tokens", "encoder.net.reg_token"),
    (rf"{LAYER}(norm\d)\.", r"encoder.net.blocks.\1.\2."),
    (r"layernorm\.", "encoder.net.norm."),
)
DINOV2_RULES: Rules = (
    *HEADS,
    (r"embeddings\.patch_embeddings\.projection\.", "encoder.net.patch_embed.proj."),
    (r"embeddings\.position_embeddings\.weight", "encoder.net.pos_embed"),
    (rf"{LAYER}attention\.out_proj\.", r"encoder.net.blocks.\1.attn.proj."),
    (rf"{LAYER}layer_scale(\d)\.lambda1", r"encoder.net.blocks.\1.ls\2.gamma"),
    (rf"{LAYER}mlp\.weights_in\.", r"encoder.net.blocks.\1.mlp.fc1."),
    (rf"{LAYER}mlp\.weights_out\.", r"encoder.net.blocks.\1.mlp.fc2."),
    (rf"{LAYER}mlp\.", r"encoder.net.blocks.\1.mlp."),
)
DINOV3_RULES: Rules = (
    *HEADS,
    (r"embeddings\.patch_embeddings\.", "encoder.net.patch_embed.proj."),
    (rf"{LAYER}attention\.o_proj\.", r"encoder.net.blocks.\1.attn.proj."),
    (rf"{LAYER}layer_scale(\d)\.lambda1", r"encoder.net.blocks.\1.gamma_\2"),
    (rf"{LAYER}mlp\.down_proj\.", r"encoder.net.blocks.\1.mlp.fc2."),
)
BACKBONE = r"network\.encoder\.backbone\."
DIFFERENCES_RULES: Rules = (
    (rf"{BACKBONE}patch_embed\.", "embeddings."),
    (rf"{BACKBONE}blocks\.", "layers."),
    (rf"{BACKBONE}norm\.", "layernorm."),
)
ORIGINAL_RULES: Rules = (
    (BACKBONE, "encoder.net."),
    (r"network\.q\.", "queries."),
    (r"network\.attn_mask_probs", "masking.masked"),
    (r"network\.", "predictor."),
)


def convert_dinov2(state: State) -> State:
    """Joined queries, keys and values, weights and biases."""
    new = _finished(renamed(state, DINOV2_RULES))
    new["encoder.net.pos_embed"] = new["encoder.net.pos_embed"].unsqueeze(0)
    return _joined(new, ("weight", "bias"))


def convert_dinov3(state: State) -> State:
    """Joined weights of queries, keys and values; keys have no bias. A gated perceptron has two maps beside."""
    new = _finished(renamed(state, DINOV3_RULES))
    for name in [name for name in new if ".mlp.up_proj." in name]:
        gate = name.replace(".up_proj.", ".gate_proj.")
        block, kind = name.split(".")[1], name.rsplit(".", 1)[1]
        mlp = f"encoder.net.blocks.{block}.mlp"
        if gate in new:
            new[f"{mlp}.fc1_g.{kind}"] = new.pop(gate)
            new[f"{mlp}.fc1_x.{kind}"] = new.pop(name)
        else:
            new[f"{mlp}.fc1.{kind}"] = new.pop(name)
    for name in [name for name in new if name.endswith(".attention.q_proj.bias")]:
        attention = f"encoder.net.blocks.{name.split('.')[1]}.attn"
        new[f"{attention}.q_bias"] = new.pop(name)
        new[f"{attention}.v_bias"] = new.pop(name.replace(".q_proj.", ".v_proj."))
    return _joined(new, ("weight",))


def convert_original(state: State) -> State:
    """Names of timm's encoder stay; buffers of the normalisation and of the loss are no part of the net."""
    own = {name: value for name, value in state.items() if name.startswith("network.")}
    return _finished(renamed({n: v for n, v in own.items() if "encoder.pixel_" not in n}, ORIGINAL_RULES))


def convert_differences(state: State) -> State:
    """The encoder has the names of transformers, the rest those of the authors."""
    names = {name: value for name, value in state.items() if name.startswith("network.encoder.backbone.")}
    return convert_dinov3(renamed(names, DIFFERENCES_RULES)) | convert_original(
        {name: value for name, value in state.items() if name not in names}
    )


def _finished(new: State) -> State:
    """Without the loss's weights, and with masks in evaluation where most queries were masked."""
    masked = {"masking.masked": new["masking.masked"] >= 0.5} if "masking.masked" in new else {}
    return {name: value for name, value in new.items() if not name.startswith("criterion.")} | masked


def _joined(new: State, kinds: tuple[str, ...]) -> State:
    for kind in kinds:
        for name in [name for name in new if name.endswith(f".attention.q_proj.{kind}")]:
            parts = [new.pop(name.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
            new[f"encoder.net.blocks.{name.split('.')[1]}.attn.qkv.{kind}"] = torch.cat(parts)
    return new


EOMT = (
    Family("transformers EoMT", rf"{LAYER}attention\.out_proj\.", convert_dinov2, IMAGENET_MEAN, IMAGENET_STD),
    Family("transformers EoMT-DINOv3", rf"{LAYER}attention\.o_proj\.", convert_dinov3, IMAGENET_MEAN, IMAGENET_STD),
    Family(
        "EoMT-DINOv3, its encoder as differences",
        rf"{BACKBONE}blocks\.0\.attention\.q_proj\.",
        convert_differences,
        IMAGENET_MEAN,
        IMAGENET_STD,
        "encoder.net.",
    ),
    Family("EoMT", r"network\.encoder\.backbone\.blocks\.", convert_original, IMAGENET_MEAN, IMAGENET_STD),
)
