"""Translation of parts of recipes that earlier versions wrote in another way."""

from typing import Any

from seglight.errors import UserError, say

ADVERSARIAL = ("seglight.losses.Adversarial", "seglight.losses.adversarial.Adversarial")
SUPERVISED = "seglight.training.methods.Supervised"
CROSS_ENTROPY = "seglight.losses.CrossEntropy"
METHOD = "seglight.training.methods.AdversarialNetwork"


def translated(model: Any) -> bool:
    """Replace the former loss of adversarial training by its loss of the labels and a method.

    Args:
        model: Part `model` of a recipe, a dict or the parser's namespace; it is changed.

    Returns:
        True if the recipe had the former loss.

    Raises:
        UserError: The recipe names a method too.
    """
    loss = model.get("loss")
    if loss is None or isinstance(loss, str) or loss.get("class_path") not in ADVERSARIAL:
        return False
    method = model.get("method")
    if method is not None and method["class_path"] != SUPERVISED:
        raise UserError(
            f"model.loss: seglight.losses.Adversarial and model.method {method['class_path']}: a step follows one "
            "method. Set model.loss to the loss of the labels."
        )
    options = loss.get("init_args") or {}
    kind = type(loss)  # a dict, or the parser's namespace
    arguments = kind(weight=options.get("weight", 0.1), lr=options.get("lr", 1e-4), betas=[0.5, 0.999])
    model["loss"] = options.get("loss", kind(class_path=CROSS_ENTROPY))
    model["method"] = kind(class_path=METHOD, init_args=arguments)
    return True


def say_translated() -> None:
    """Print how the former loss is read."""
    say(
        f"model.loss seglight.losses.Adversarial is read as model.method {METHOD}: its discriminator is trained by "
        "model.optimizer with model.schedule"
    )
