"""Adversarially robust weights: ConvNeXt of revisiting-at (arXiv 2303.01870), UPerNet of PIR-AT (arXiv 2306.12941)."""

import re

from seglight.models.weights.rewrite import Family, Rules, State, renamed
from seglight.models.weights.upernet import convert as convert_upernet

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
"""Mean and standard deviation of their training, on images in [0, 1]."""

WRAPPED = r"(?:module\.|base_model\.)*"
"""Prefixes by wrappers in which the nets were saved."""

ENCODER_RULES: Rules = (
    (r"stem\.stem\.", "encoder.net.stem_0."),
    (r"stages\.(\d)\.", r"encoder.net.stages_\1."),
)
BLOCK = r"backbone\.stages\.(\d)\.(\d+)\."
PIR_AT_RULES: Rules = (
    (r"backbone\.downsample_layers\.0\.stem\.", "encoder.net.stem_0."),
    (r"backbone\.downsample_layers\.(\d)\.", r"encoder.net.stages_\1.downsample."),
    (f"{BLOCK}dwconv", r"encoder.net.stages_\1.blocks.\2.conv_dw"),
    (f"{BLOCK}norm", r"encoder.net.stages_\1.blocks.\2.norm"),
    (rf"{BLOCK}pwconv(\d)", r"encoder.net.stages_\1.blocks.\2.mlp.fc\3"),
    (f"{BLOCK}gamma", r"encoder.net.stages_\1.blocks.\2.gamma"),
    (r"backbone\.norm(\d)\.", r"decoder.norms.\1."),
)


def convert_encoder(state: State) -> State:
    """Rename the tensors; the classifier of ImageNet and a layer that normalises are no part of an encoder."""
    return renamed({n: v for n, v in _unwrapped(state).items() if n.startswith(("stem.", "stages."))}, ENCODER_RULES)


def convert_pir_at(state: State) -> State:
    """The decoder has the names of transformers' UPerNet."""
    return convert_upernet(renamed(_unwrapped(state), PIR_AT_RULES))


def _unwrapped(state: State) -> State:
    return {re.sub(f"^{WRAPPED}", "", name): value for name, value in state.items()}


ROBUST_CONVNEXT = Family("revisiting-at ConvNeXt", rf"{WRAPPED}stem\.stem\.", convert_encoder, mean=ZEROS, std=ONES)
PIR_AT = Family("PIR-AT UPerNet", rf"{WRAPPED}backbone\.downsample_layers\.", convert_pir_at, mean=ZEROS, std=ONES)
