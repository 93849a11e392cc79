"""Nets of segmentation_models.pytorch: ResNets, MiT and timm's encoders (`tu-...`) under eight decoders.

Theirs are built by these options of ours: Unet and UnetPlusPlus by `further`, `upsampling: nearest` (their default) and
the net's `head_kernel: 3`, PSPNet by `merge_kernel: 1` and `head_kernel: 3`, FPN by `groups: 32`, DeepLabV3Plus by
`convs: [1, 1]`, UPerNet by `norm_features`.
Different by intent, so that logits differ a little: PSPNet, FPN and DeepLabV3Plus resize with align_corners=True there,
and dilated encoders that are not timm's dilate the convolution that lost its stride too.
"""

import re
from collections.abc import Callable

import torch

from seglight.models.weights.rewrite import Family, Rules, State, fold, fuse_linear, renamed


def _from_one(template: str) -> Callable[[re.Match[str]], str]:
    """Fills in what was found, the first number one less: their stages are counted from one."""
    return lambda found: template.format(int(found[1]) - 1, *found.groups()[1:])


BLOCK = r"encoder\.block(\d)\.(\d+)\."
COMMON: Rules = (
    (r"encoder\.patch_embed(\d)\.proj", _from_one("encoder.stages.{}.embed")),
    (r"encoder\.patch_embed(\d)\.norm", _from_one("encoder.stages.{}.embed_norm")),
    (r"encoder\.norm(\d)", _from_one("encoder.stages.{}.norm")),
    (rf"{BLOCK}attn\.q\.", _from_one("encoder.stages.{}.blocks.{}.attention.query.")),
    (rf"{BLOCK}attn\.kv\.", _from_one("encoder.stages.{}.blocks.{}.attention.key_value.")),
    (rf"{BLOCK}attn\.proj\.", _from_one("encoder.stages.{}.blocks.{}.attention.project.")),
    (rf"{BLOCK}attn\.sr\.", _from_one("encoder.stages.{}.blocks.{}.attention.reduce.")),
    (rf"{BLOCK}attn\.norm\.", _from_one("encoder.stages.{}.blocks.{}.attention.reduce_norm.")),
    (rf"{BLOCK}mlp\.dwconv\.dwconv\.", _from_one("encoder.stages.{}.blocks.{}.mix.")),
    (rf"{BLOCK}mlp\.", _from_one("encoder.stages.{}.blocks.{}.")),
    (BLOCK, _from_one("encoder.stages.{}.blocks.{}.")),
    (r"encoder\.(model\.)?", "encoder.net."),
    (r"segmentation_head\.0\.", "head."),
)
UNET_RULES: Rules = (
    *COMMON,
    (r"decoder\.blocks\.(\d)\.conv([12])\.", lambda found: f"decoder.stages.{found[1]}.{int(found[2]) - 1}."),
)
NODE = r"decoder\.blocks\.x_(\d)_(\d)\."
NESTED_RULES: Rules = (
    *COMMON,
    (
        rf"{NODE}conv([12])\.",
        lambda found: f"decoder.levels.{found[2]}.{int(found[2]) - int(found[1])}.{int(found[3]) - 1}.",
    ),
)
FPN_RULES: Rules = (
    *COMMON,
    (r"decoder\.p5\.", "decoder.lateral.3."),
    (r"decoder\.p(\d)\.skip_conv\.", lambda found: f"decoder.lateral.{int(found[1]) - 2}."),
    (
        r"decoder\.seg_blocks\.(\d)\.block\.(\d)\.block\.",
        lambda found: f"decoder.branches.{3 - int(found[1])}.convs.{found[2]}.",
    ),
)
PSPNET_RULES: Rules = (
    *COMMON,
    (
        r"decoder\.psp\.blocks\.(\d)\.pool\.1\.([01])\.",
        lambda found: f"decoder.pyramid.pools.{found[1]}.{int(found[2]) + 1}.",
    ),
    (r"decoder\.conv\.", "decoder.pyramid.merge."),
)
DEEPLAB_RULES: Rules = (
    *COMMON,
    (r"decoder\.aspp\.convs\.", "decoder.pyramid.branches."),
    (r"decoder\.aspp\.project\.", "decoder.pyramid.project."),
    (r"decoder\.conv\.", "decoder.merge.0."),
    (r"decoder\.bn\.", "decoder.merge.1."),
)
DEEPLAB_PLUS_RULES: Rules = (
    *COMMON,
    (r"decoder\.aspp\.0\.convs\.0\.", "decoder.pyramid.branches.0."),
    (r"decoder\.aspp\.0\.convs\.(\d)\.0\.", r"decoder.pyramid.branches.\1."),
    (r"decoder\.aspp\.0\.convs\.(\d)\.1\.", r"decoder.pyramid.branches.\1.2."),
    (r"decoder\.aspp\.0\.project\.", "decoder.pyramid.project."),
    (r"decoder\.aspp\.1\.", "decoder.context.0."),
    (r"decoder\.aspp\.2\.", "decoder.context.0.2."),
    (r"decoder\.block1\.", "decoder.skip."),
    (r"decoder\.block2\.0\.", "decoder.merge.0."),
    (r"decoder\.block2\.1\.", "decoder.merge.0.2."),
)
UPERNET_RULES: Rules = (
    *COMMON,
    (r"decoder\.feature_norms\.", "decoder.norms."),
    (r"decoder\.psp\.out_conv\.", "decoder.top.merge."),
    (
        r"decoder\.psp\.blocks\.(\d)\.1\.([01])\.",
        lambda found: f"decoder.top.pools.{found[1]}.{int(found[2]) + 1}.",
    ),
    (r"decoder\.fpn_lateral_blocks\.(\d)\.conv_norm_relu\.", lambda found: f"decoder.lateral.{2 - int(found[1])}."),
    (r"decoder\.fpn_conv_blocks\.(\d)\.", lambda found: f"decoder.smooth.{2 - int(found[1])}."),
    (r"decoder\.fusion_block\.", "decoder.merge."),
)
SEGFORMER_RULES: Rules = (
    *COMMON,
    (r"decoder\.mlp_stage\.(\d)\.linear\.", lambda found: f"decoder.linear.{3 - int(found[1])}."),
    (r"decoder\.fuse_stage\.", "decoder.mix."),
)


def convert_unet(state: State) -> State:
    """Rename the tensors."""
    return renamed(state, UNET_RULES)


def convert_nested(state: State) -> State:
    """Theirs read a level from its newest node back to the encoder's feature, ours the other way."""
    state = dict(state)
    last = max(int(found[2]) for name in state if (found := re.match(NODE, name)))
    for name in [name for name in state if re.match(rf"{NODE}conv1\.0\.weight", name)]:
        depth, level = map(int, name.split(".")[2].split("_")[1:])
        if level < last:
            weight, row = state[name], level - depth + 1
            width = weight.shape[0]
            below, *maps = torch.split(weight, [weight.shape[1] - row * width, *[width] * row], 1)
            state[name] = torch.cat([below, *maps[::-1]], 1)
    # the last level has one node, and joins no feature
    outer = (rf"decoder\.blocks\.x_0_{last}\.conv([12])\.", lambda found: f"decoder.further.0.{int(found[1]) - 1}.")
    return renamed(state, (outer, *NESTED_RULES))


def convert_fpn(state: State) -> State:
    """Rename the tensors."""
    return renamed(state, FPN_RULES)


def convert_pspnet(state: State) -> State:
    """With us the map comes before its means."""
    new = renamed(state, PSPNET_RULES)
    merge = "decoder.pyramid.merge.0.weight"
    new[merge] = new[merge].roll(new[merge].shape[1] // 2, 1)
    return new


def convert_deeplab(state: State) -> State:
    """The image's mean has a bias with us instead of a norm, which fails on a batch of one."""
    pool = "decoder.aspp.convs.4"
    return renamed(fold(state, f"{pool}.1", f"{pool}.2", "decoder.pyramid.pool.1"), DEEPLAB_RULES)


def convert_deeplab_plus(state: State) -> State:
    """As DeepLabV3."""
    pool = "decoder.aspp.0.convs.4"
    return renamed(fold(state, f"{pool}.1", f"{pool}.2", "decoder.pyramid.pool.1"), DEEPLAB_PLUS_RULES)


def convert_upernet(state: State) -> State:
    """As DeepLabV3."""
    pool = "decoder.psp.blocks.0.1"
    return renamed(fold(state, f"{pool}.0", f"{pool}.1", "decoder.top.pools.0.1"), UPERNET_RULES)


def convert_segformer(state: State) -> State:
    """Theirs count from coarse to fine."""
    return fuse_linear(renamed(state, SEGFORMER_RULES))


SMP = tuple(
    Family(f"segmentation_models.pytorch {name}", marks, convert)
    for name, marks, convert in (
        ("Unet", r"decoder\.blocks\.\d\.conv1\.", convert_unet),
        ("UnetPlusPlus", r"decoder\.blocks\.x_", convert_nested),
        ("FPN", r"decoder\.seg_blocks\.", convert_fpn),
        ("PSPNet", r"decoder\.psp\.blocks\.0\.pool", convert_pspnet),
        ("DeepLabV3", r"decoder\.aspp\.convs\.", convert_deeplab),
        ("DeepLabV3Plus", r"decoder\.aspp\.0\.convs\.", convert_deeplab_plus),
        ("UPerNet", r"decoder\.fpn_lateral_blocks\.", convert_upernet),
        ("Segformer", r"decoder\.mlp_stage\.", convert_segformer),
    )
)
