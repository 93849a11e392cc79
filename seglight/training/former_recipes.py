"""Parts of recipes of earlier versions that are written in another way now, translated in this one place."""

from typing import Any

from seglight.errors import UserError, say

ADVERSARIAL = ("seglight.losses.Adversarial", "seglight.losses.adversarial.Adversarial")
SUPERVISED = "seglight.training.methods.Supervised"
METHOD = "seglight.training.methods.AdversarialNetwork"


def translated(model: Any) -> bool:
    """Turn a loss that was adversarial training into its loss of the labels and a method.

    Args:
        model: The part `model` of a recipe, a dict or the parser's namespace; it is changed.

    Returns:
        Whether there was something to translate.

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
    options = loss["init_args"]
    kind = type(loss)
    model["loss"] = options["loss"]
    model["method"] = kind(
        class_path=METHOD,
        init_args=type(options)(weight=options["weight"], lr=options["lr"], betas=[0.5, 0.999]),
    )
    return True


def say_translated() -> None:
    """Tell the user what became of the loss."""
    say(
        f"model.loss seglight.losses.Adversarial is read as model.method {METHOD}: its discriminator is trained by "
        "model.optimizer with model.schedule"
    )
