"""The kinds of run of which files are kept: a recipe each, small enough to train in seconds."""

from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]


def named(class_path: str, **init_args: Any) -> Spec:
    return {"class_path": class_path, "init_args": init_args}


def timm(name: str, **options: Any) -> Spec:
    return named("seglight.models.TimmEncoder", name=name, weights="random", **options)


def vit(name: str, **options: Any) -> Spec:
    return named("seglight.models.ViTEncoder", name=name, weights="random", **options)


def net(encoder: Spec, decoder: str, aux_index: int | None = None, **options: Any) -> Spec:
    parts = {"encoder": encoder, "decoder": named(f"seglight.models.decoders.{decoder}", **options)}
    return named("seglight.models.EncoderDecoder", **parts, aux_index=aux_index)


SHAPES = named(
    "seglight.data.ShapesDataModule",
    size=48,
    train_images=4,
    eval_images=1,
    batch_size=2,
    num_workers=0,
    augmentation={"crop_size": 48},
)
RESNET = timm("test_resnet")
FPN = net(RESNET, "FPN", pyramid_channels=8, channels=8)
UNET = net(timm("test_efficientnet", depth=3), "UNet", channels=[8])


@dataclass(frozen=True)
class Kind:
    """One run.

    Attributes:
        net: The recipe's.
        model: What else stands in the recipe under `model`.
        callbacks: Those of the trainer.
        data: The data module.
        more: Further keys of the recipe.
        released: Whether a released folder is kept, too.
        onnx: Whether an ONNX file is kept, too.
        export: Further arguments of its export.
        whole: Whether the checkpoint is kept as it is at the first of two steps, so that the run can go on.
        scored: Whether the released folder has scores.
        openvino: Whether an OpenVINO file is kept, too.
        deep: Class paths of the checkpoint's card and the recipe, and what stands there instead: `fit` shortens some.
    """

    net: Spec
    model: Spec = field(default_factory=dict)
    callbacks: tuple[Spec, ...] = ()
    data: Spec = field(default_factory=lambda: SHAPES)
    more: Spec = field(default_factory=dict)
    released: bool = False
    onnx: bool = False
    export: tuple[str, ...] = ()
    whole: bool = False
    scored: bool = False
    openvino: bool = False
    deep: dict[str, str] = field(default_factory=dict)


def loss(name: str, **options: Any) -> Spec:
    return {"loss": named(f"seglight.losses.{name}", **options)}


DEEP_NET = named(
    "seglight.models.encoder_decoder.EncoderDecoder",
    encoder=named("seglight.models.mix_transformer.MixTransformer", variant="b0"),
    decoder=named("seglight.models.decoders.segformer.SegFormer", channels=16),
)
MEMBERS = ["ROOT/fpn/last.ckpt", "ROOT/unet/last.ckpt"]
SGD = named("torch.optim.SGD", lr=0.001, momentum=0.9)
ADVERSARIAL = {"method": named("seglight.training.methods.AdversarialNetwork")}
"""In version 0.1 a loss of its own, seglight.losses.Adversarial."""

KINDS = {
    "fpn": Kind(FPN, released=True, onnx=True, scored=True),
    "unet": Kind(UNET, loss("Dice"), released=True, onnx=True, openvino=True),
    "unetplusplus": Kind(
        net(timm("test_byobnet", depth=3), "UNetPlusPlus", channels=[8], further=[8]), loss("LovaszSoftmax")
    ),
    "fcn": Kind(net(timm("test_resnet", depth=4), "FCN", stride=8, channels=16), loss("Focal"), onnx=True),
    "deeplabv3": Kind(net(timm("test_resnet", output_stride=8), "DeepLabV3", channels=16), loss("Tversky"), onnx=True),
    "deeplabv3plus": Kind(
        net(timm("test_efficientnet", output_stride=16), "DeepLabV3Plus", channels=16, skip_channels=8, aux_index=-2),
        loss("OHEMCrossEntropy"),
        released=True,
        onnx=True,
    ),
    "dpt": Kind(
        net(
            vit("test_vit", blocks=[0, 1, 2, 3], pyramid=None, readout=True),
            "DPT", widths=[8, 8, 16, 16], channels=16, readout=True,
        ),
        loss("BoundaryLoss"),
        onnx=True,
    ),
    "lraspp": Kind(net(named("seglight.models.MobileNetV3Encoder"), "LRASPP", channels=16), onnx=True, released=True),
    "ocr": Kind(
        net(timm("test_resnet", output_stride=8), "OCR", channels=16, key_channels=8, aux_index=-2), onnx=True
    ),
    "pspnet": Kind(net(timm("test_resnet", output_stride=8), "PSPNet", channels=16, aux_index=-2), onnx=True),
    "reseg": Kind(
        net(timm("test_resnet", depth=4), "ReSeg", hidden=[8, 8], channels=[8, 8]),
        onnx=True, export=("--size", "48x64"),
    ),
    "segformer": Kind(
        net(named("seglight.models.MixTransformer", variant="b0"), "SegFormer", channels=16), onnx=True, released=True
    ),
    "upernet": Kind(
        net(timm("test_convnext"), "UPerNet", channels=16, norm_features=True),
        {
            "loss": named(
                "seglight.losses.WeightedSum",
                losses=[named("seglight.losses.CrossEntropy", label_smoothing=0.1), named("seglight.losses.Dice")],
                weights=[1.0, 0.5],
            ),
            "schedule": named("seglight.optim.WarmupCosine", warmup_steps=1),
            "groups": named("seglight.optim.ParameterGroups", encoder_lr_scale=0.1),
        },
        onnx=True,
    ),
    "vit_pyramid": Kind(
        net(vit("test_vit2", pyramid=16), "FPN", pyramid_channels=8, channels=8),
        onnx=True,
    ),
    "pointrend": Kind(
        named(
            "seglight.models.PointRend", encoder=timm("test_resnet"),
            decoder=named("seglight.models.decoders.FPN", pyramid_channels=8, channels=8),
            channels=16, points=64, eval_points=128,
        ),
        onnx=True, released=True,
    ),
    "ensemble": Kind(
        named("seglight.models.Ensemble", members=[FPN, UNET], weights=[1.0, 2.0]), onnx=True, released=True
    ),
    "ensemble_of_checkpoints": Kind(
        named("seglight.models.Ensemble", members=MEMBERS, average="logits"), released=True
    ),
    "stacking": Kind(named("seglight.models.Stacking", members=MEMBERS), onnx=True, released=True),
    "four_bands": Kind(
        net(timm("test_efficientnet", depth=3, in_channels=4), "UNet", channels=[8]),
        data=named(
            "tests.compatibility.bands.FourBands", size=48, train_images=4, eval_images=1, batch_size=2, num_workers=0
        ),
        released=True,
    ),
    "adversarial": Kind(FPN, ADVERSARIAL),
    "distillation": Kind(UNET, loss("Distillation", teacher="ROOT/fpn/last.ckpt", loss=named("seglight.losses.Dice"))),
    "pretrained": Kind(
        net(
            named("seglight.models.TimmEncoder", name="test_resnet", weights="ROOT/pretraining/encoder.safetensors"),
            "FPN", pyramid_channels=8, channels=8,
        ),
    ),
    "channels_last": Kind(
        FPN,
        {"channels_last": True},
        (
            named("seglight.callbacks.SWA", start=0.5),
            named("seglight.callbacks.FreezeEncoder", until_step=1),
            named("seglight.callbacks.BatchNormMomentum", momentum=0.01),
        ),
        more={"inferer": named("seglight.inference.SlidingWindow", window=32)},
    ),
    "deep_paths": Kind(
        DEEP_NET,
        {
            "loss": named("seglight.losses.cross_entropy.CrossEntropy"),
            "schedule": named("seglight.optim.WarmupPoly", warmup_steps=1),
        },
        (named("seglight.callbacks.bn_momentum.BatchNormMomentum", momentum=0.05),),
        {**SHAPES, "class_path": "seglight.data.shapes.ShapesDataModule"},
        {"inferer": named("seglight.inference.whole.WholeImage")},
        released=True, onnx=True,
        deep={
            "seglight.models.EncoderDecoder": "seglight.models.encoder_decoder.EncoderDecoder",
            "seglight.models.decoders.SegFormer": "seglight.models.decoders.segformer.SegFormer",
            "seglight.losses.CrossEntropy": "seglight.losses.cross_entropy.CrossEntropy",
        },
    ),
    "resumed": Kind(
        UNET,
        {"weights": "ROOT/unet/last.ckpt"},
        (named("seglight.callbacks.EMA", decay=0.5), named("seglight.callbacks.ExactCheckpoint", every_n_steps=1)),
        whole=True,
    ),
    "resumed_adversarial": Kind(
        UNET,
        {**ADVERSARIAL, "optimizer": SGD, "weights": "ROOT/unet/last.ckpt"},
        (named("seglight.callbacks.ExactCheckpoint", every_n_steps=1),),
        whole=True,
    ),
}  # fmt: skip
"""By the name of its folder; those whose checkpoints others read stand before them."""


def files(name: str, **options: Any) -> Spec:
    augmentation = {"crop_size": 32}
    return named(f"seglight.data.{name}", batch_size=2, num_workers=0, augmentation=augmentation, **options)


DATA_SETS = {
    "ade20k": files("ADE20KDataModule"),
    "camvid": files("CamVidDataModule"),
    "camvid32": files("CamVid32DataModule"),
    "cityscapes": files("CityscapesDataModule"),
    "coco_json": files(
        "COCOPolygonsDataModule", annotations="annotations/instances_{split}2017.json", images="{split}2017"
    ),
    "cocostuff": files("COCOStuffDataModule"),
    "folder": files("FolderDataModule"),
    "labelme": files("LabelMeDataModule"),
    "pet": files("OxfordIIITPetDataModule"),
    "voc": files("VOCDataModule"),
}
"""By the name of the function of tests/support/fabricate.py that writes such a data set. Recipes alone are kept."""

VIEWS = named(
    "seglight.inference.TestTimeAugmentation",
    inferer=named("seglight.inference.SlidingWindow", window=32),
    scales=[1.0],
)


def on_files(name: str) -> Kind:
    data = DATA_SETS[name]
    own = {**data, "init_args": {**data["init_args"], "root": f"ROOT/{name}"}}
    if name == "voc":
        return Kind(
            UNET, callbacks=(named("seglight.callbacks.PreciseBN", batches=1),), data=own, more={"inferer": VIEWS}
        )
    return Kind(UNET, data=own)


PRETRAINING = {
    "trainer": {
        "accelerator": "cpu",
        "max_epochs": 1,
        "enable_progress_bar": False,
        "log_every_n_steps": 1,
        "num_sanity_val_steps": 0,
    },
    "model": {"name": "test_resnet", "optimizer": named("torch.optim.AdamW", lr=0.0001)},
    "data": named(
        "seglight.data.image_folder.ImageFolderDataModule", root="ROOT/images", size=32, batch_size=2, num_workers=0
    ),
}
"""The recipe of `seglight pretrain`."""

FSDP = {
    "trainer": {"accelerator": "gpu", "devices": 2, "strategy": named("seglight.running.sharding.FSDP")},
    "model": {"net": UNET},
    "data": SHAPES,
}
"""A recipe of `fit` for several GPUs, which is parsed alone."""
