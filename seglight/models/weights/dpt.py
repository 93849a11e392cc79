"""DPT over a plain ViT as transformers saves it."""

import torch

from seglight.models.weights.rewrite import Family, Rules, State, renamed

BLOCK = r"dpt\.encoder\.layer\.(\d+)\."
FUSION = r"neck\.fusion_stage\.layers\.(\d)\."
RULES: Rules = (
    (r"dpt\.embeddings\.patch_embeddings\.projection\.", "encoder.net.patch_embed.proj."),
    (r"dpt\.embeddings\.cls_token", "encoder.net.cls_token"),
    (r"dpt\.embeddings\.position_embeddings", "encoder.net.pos_embed"),
    (rf"{BLOCK}layernorm_before\.", r"encoder.net.blocks.\1.norm1."),
    (rf"{BLOCK}layernorm_after\.", r"encoder.net.blocks.\1.norm2."),
    (rf"{BLOCK}attention\.output\.dense\.", r"encoder.net.blocks.\1.attn.proj."),
    (rf"{BLOCK}intermediate\.dense\.", r"encoder.net.blocks.\1.mlp.fc1."),
    (rf"{BLOCK}output\.dense\.", r"encoder.net.blocks.\1.mlp.fc2."),
    (r"neck\.reassemble_stage\.readout_projects\.(\d)\.0\.", r"decoder.reassemble.\1.readout."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"decoder.reassemble.\1.project."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"decoder.reassemble.\1.resize."),
    (r"neck\.convs\.(\d)\.", r"decoder.reassemble.\1.smooth."),
    (rf"{FUSION}residual_layer1\.", lambda found: f"decoder.fusions.{3 - int(found[1])}.joined."),
    (rf"{FUSION}residual_layer2\.", lambda found: f"decoder.fusions.{3 - int(found[1])}.refined."),
    (rf"{FUSION}projection\.", lambda found: f"decoder.fusions.{3 - int(found[1])}.project."),
    (r"head\.head\.([01])\.", r"decoder.merge.\1."),
    (r"head\.head\.4\.", "head."),
)


def convert(state: State) -> State:
    """Joined queries, keys and values. What their auxiliary head and last norm do is no part of the logits."""
    # the coarsest fusion joins nothing, and its unit for that is never run
    unused = ("auxiliary_head.", "dpt.layernorm.", "dpt.pooler.", "neck.fusion_stage.layers.0.residual_layer1.")
    new = renamed({name: value for name, value in state.items() if not name.startswith(unused)}, RULES)
    for name in [name for name in new if ".attention.attention.query." in name]:
        parts = [new.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        block, kind = name.split(".")[3], name.rsplit(".", 1)[1]
        new[f"encoder.net.blocks.{block}.attn.qkv.{kind}"] = torch.cat(parts)
    return new


DPT = Family("transformers DPT", r"neck\.reassemble_stage\.", convert, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
