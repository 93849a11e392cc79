"""FCN, DeepLabV3 and LR-ASPP as torchvision saves them."""

import torch

from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family, Rules, State, fold, renamed

COMMON: Rules = (
    (r"backbone\.", "encoder.net."),
    (r"aux_classifier\.([01])\.", r"aux_head.0.\1."),
    (r"aux_classifier\.4\.", "aux_head.1."),
    (r"classifier\.4\.", "head."),
)
FCN_RULES: Rules = (*COMMON, (r"classifier\.([01])\.", r"decoder.coarse.0.\1."))
DEEPLAB_RULES: Rules = (
    *COMMON,
    (r"classifier\.0\.convs\.", "decoder.pyramid.branches."),
    (r"classifier\.0\.project\.", "decoder.pyramid.project."),
    (r"classifier\.([12])\.", lambda found: f"decoder.merge.{int(found[1]) - 1}."),
)
LRASPP_RULES: Rules = (
    *COMMON,
    (r"classifier\.cbr\.", "decoder.coarse."),
    (r"classifier\.scale\.", "decoder.gate."),
)


def convert_fcn(state: State) -> State:
    """Rename the tensors."""
    return renamed(state, FCN_RULES)


def convert_deeplab(state: State) -> State:
    """The image's mean has a bias with us instead of a norm, which fails on a batch of one."""
    pool = "classifier.0.convs.4"
    return renamed(fold(state, f"{pool}.1", f"{pool}.2", "decoder.pyramid.pool.1"), DEEPLAB_RULES)


def convert_lraspp(state: State) -> State:
    """Their classifiers of the coarse and the fine map as one head on both."""
    new = renamed(state, LRASPP_RULES)
    parts = [
        [new.pop(f"classifier.{map_}_classifier.{kind}") for map_ in ("high", "low")] for kind in ("weight", "bias")
    ]
    new["head.weight"], new["head.bias"] = torch.cat(parts[0], 1), parts[1][0] + parts[1][1]
    return new


TORCHVISION = tuple(
    Family(f"torchvision {name}", marks, convert, IMAGENET_MEAN, IMAGENET_STD)
    for name, marks, convert in (
        ("FCN", r"classifier\.0\.weight", convert_fcn),
        ("DeepLabV3", r"classifier\.0\.convs\.", convert_deeplab),
        ("LR-ASPP", r"classifier\.cbr\.", convert_lraspp),
    )
)
