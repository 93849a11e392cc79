"""UPerNet over ConvNeXt as transformers saves it."""

from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family, Rules, State, fold, renamed

BLOCK = r"backbone\.encoder\.stages\.(\d)\.layers\.(\d+)\."
RULES: Rules = (
    (r"backbone\.embeddings\.patch_embeddings\.", "encoder.net.stem_0."),
    (r"backbone\.embeddings\.layernorm\.", "encoder.net.stem_1."),
    (r"backbone\.encoder\.stages\.(\d)\.downsampling_layer\.", r"encoder.net.stages_\1.downsample."),
    (f"{BLOCK}dwconv", r"encoder.net.stages_\1.blocks.\2.conv_dw"),
    (f"{BLOCK}layernorm", r"encoder.net.stages_\1.blocks.\2.norm"),
    (rf"{BLOCK}pwconv(\d)", r"encoder.net.stages_\1.blocks.\2.mlp.fc\3"),
    (f"{BLOCK}layer_scale_parameter", r"encoder.net.stages_\1.blocks.\2.gamma"),
    (r"backbone\.hidden_states_norms\.stage(\d)", lambda found: f"decoder.norms.{int(found[1]) - 1}"),
    (r"decode_head\.psp_modules\.(\d)\.1\.conv\.", r"decoder.top.pools.\1.1."),
    (r"decode_head\.psp_modules\.(\d)\.1\.batch_norm\.", r"decoder.top.pools.\1.2."),
    (r"decode_head\.bottleneck\.conv\.", "decoder.top.merge.0."),
    (r"decode_head\.bottleneck\.batch_norm\.", "decoder.top.merge.1."),
    (r"decode_head\.lateral_convs\.(\d)\.conv\.", r"decoder.lateral.\1.0."),
    (r"decode_head\.lateral_convs\.(\d)\.batch_norm\.", r"decoder.lateral.\1.1."),
    (r"decode_head\.fpn_convs\.(\d)\.conv\.", r"decoder.smooth.\1.0."),
    (r"decode_head\.fpn_convs\.(\d)\.batch_norm\.", r"decoder.smooth.\1.1."),
    (r"decode_head\.fpn_bottleneck\.conv\.", "decoder.merge.0."),
    (r"decode_head\.fpn_bottleneck\.batch_norm\.", "decoder.merge.1."),
    (r"decode_head\.classifier\.", "head."),
    (r"auxiliary_head\.convs\.0\.conv\.", "aux_head.0.0."),
    (r"auxiliary_head\.convs\.0\.batch_norm\.", "aux_head.0.1."),
    (r"auxiliary_head\.classifier\.", "aux_head.1."),
)


def convert(state: State) -> State:
    """The image's mean has a bias with us instead of a norm, which fails on a batch of one."""
    pool = "decode_head.psp_modules.0.1"
    return renamed(fold(state, f"{pool}.conv", f"{pool}.batch_norm", "decoder.top.pools.0.1"), RULES)


UPERNET = Family("transformers UPerNet", r"decode_head\.psp_modules\.", convert, IMAGENET_MEAN, IMAGENET_STD)
