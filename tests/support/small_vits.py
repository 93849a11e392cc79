"""Small transformers of the families that timm has, registered under names of their own: base sizes take too long."""

from functools import partial
from typing import Any

import timm
from timm.layers import LayerNorm
from timm.models import build_model_with_cfg, register_model
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer

CONFIG = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "num_classes": 10,
    "first_conv": "patch_embed.proj",
    "classifier": "head",
}
SMALL: dict[str, Any] = {"embed_dim": 32, "depth": 4, "num_heads": 2}


def _built(kind: type, name: str, size: int, pretrained: bool, pretrained_cfg: Any = None, **kwargs: Any) -> Any:
    config = {**CONFIG, "input_size": (3, size, size)}
    return build_model_with_cfg(kind, name, pretrained, pretrained_cfg=config, **{"img_size": size, **SMALL, **kwargs})


@register_model
def small_dinov2(pretrained: bool = False, **kwargs: Any) -> Any:
    """As vit_small_patch14_reg4_dinov2."""
    own = {"patch_size": 14, "init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}
    return _built(VisionTransformer, "small_dinov2", 56, pretrained, **{**own, **kwargs})


@register_model
def small_augreg(pretrained: bool = False, **kwargs: Any) -> Any:
    """As vit_tiny_patch16_224 and deit_tiny_patch16_224: a position embedding of the class token, no scales."""
    return _built(VisionTransformer, "small_augreg", 64, pretrained, **{"patch_size": 16, **kwargs})


@register_model
def small_dinov3(pretrained: bool = False, **kwargs: Any) -> Any:
    """As vit_small_patch16_dinov3_qkvb."""
    own = {
        "patch_size": 16, "dynamic_img_size": True, "qkv_bias": True, "init_values": 1.0e-5, "rope_type": "dinov3",
        "rope_temperature": 100, "use_rot_pos_emb": True, "use_abs_pos_emb": False, "rope_rotate_half": True,
        "num_reg_tokens": 4, "use_fc_norm": False, "norm_layer": partial(LayerNorm, eps=1e-5),
    }  # fmt: skip
    return _built(Eva, "small_dinov3", 64, pretrained, **{**own, **kwargs})


@register_model
def small_eva02(pretrained: bool = False, **kwargs: Any) -> Any:
    """As eva02_tiny_patch14_224: rotary and absolute embeddings, a gated perceptron, the last norm by the head."""
    own = {
        "patch_size": 14, "mlp_ratio": 4 * 2 / 3, "swiglu_mlp": True, "use_rot_pos_emb": True, "ref_feat_shape": (4, 4),
        "qkv_fused": False, "scale_mlp": True,
    }  # fmt: skip
    return _built(Eva, "small_eva02", 56, pretrained, **{**own, **kwargs})


@register_model
def small_beit(pretrained: bool = False, **kwargs: Any) -> Any:
    """As beit_base_patch16_224."""
    own = {"patch_size": 16, "use_abs_pos_emb": False, "use_rel_pos_bias": True, "init_values": 0.1}
    return _built(Beit, "small_beit", 64, pretrained, **{**own, **kwargs})


@register_model
def small_swin(pretrained: bool = False, **kwargs: Any) -> Any:
    """As swin_tiny_patch4_window7_224."""
    config = {**CONFIG, "input_size": (3, 128, 128), "first_conv": "patch_embed.proj", "classifier": "head.fc"}
    own = {
        "img_size": 128, "patch_size": 4, "window_size": 4, "embed_dim": 16, "depths": (2, 1, 2, 1),
        "num_heads": (1, 2, 2, 4), "drop_path_rate": 0.0,
    }  # fmt: skip
    kwargs.pop("pretrained_cfg", None)
    features = {"out_indices": (0, 1, 2, 3), "flatten_sequential": True}
    return build_model_with_cfg(
        SwinTransformer, "small_swin", pretrained, pretrained_cfg=config, feature_cfg=features, **{**own, **kwargs}
    )


FAMILIES = ("small_dinov2", "small_augreg", "small_dinov3", "small_eva02", "small_beit")
assert all(timm.is_model(name) for name in FAMILIES)
