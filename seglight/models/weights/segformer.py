"""SegFormer as transformers saves it."""

import torch

from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family, Rules, State, fuse_linear, renamed

RULES: Rules = (
    (r"segformer\.encoder\.patch_embeddings\.(\d)\.proj", r"encoder.stages.\1.embed"),
    (r"segformer\.encoder\.patch_embeddings\.(\d)\.layer_norm", r"encoder.stages.\1.embed_norm"),
    (r"segformer\.encoder\.layer_norm\.(\d)", r"encoder.stages.\1.norm"),
    (r"segformer\.encoder\.block\.(\d)\.(\d+)\.layer_norm_(\d)", r"encoder.stages.\1.blocks.\2.norm\3"),
    (r"segformer\.encoder\.block\.(\d)\.(\d+)\.mlp\.dense(\d)", r"encoder.stages.\1.blocks.\2.fc\3"),
    (r"segformer\.encoder\.block\.(\d)\.(\d+)\.mlp\.dwconv\.dwconv", r"encoder.stages.\1.blocks.\2.mix"),
    (
        r"segformer\.encoder\.block\.(\d)\.(\d+)\.attention\.output\.dense",
        r"encoder.stages.\1.blocks.\2.attention.project",
    ),
    (r"segformer\.encoder\.block\.(\d)\.(\d+)\.attention\.self\.sr", r"encoder.stages.\1.blocks.\2.attention.reduce"),
    (
        r"segformer\.encoder\.block\.(\d)\.(\d+)\.attention\.self\.layer_norm",
        r"encoder.stages.\1.blocks.\2.attention.reduce_norm",
    ),
    (r"segformer\.encoder\.block\.(\d)\.(\d+)\.attention\.self\.", r"encoder.stages.\1.blocks.\2.attention."),
    (r"decode_head\.linear_c\.(\d)\.proj", r"decoder.linear.\1"),
    (r"decode_head\.linear_fuse", "decoder.mix.0"),
    (r"decode_head\.batch_norm", "decoder.mix.1"),
    (r"decode_head\.classifier", "head"),
)


def convert(state: State) -> State:
    """Joined keys and values; the head's maps from fine to coarse."""
    new = renamed(state, RULES)
    for name in [name for name in new if ".attention.key." in name]:
        value = new.pop(name.replace(".key.", ".value."))
        new[name.replace(".key.", ".key_value.")] = torch.cat([new.pop(name), value])
    return fuse_linear(new) if "decoder.mix.0.weight" in new else new


SEGFORMER = Family(
    "transformers SegFormer", r"segformer\.encoder\.patch_embeddings", convert, IMAGENET_MEAN, IMAGENET_STD
)
