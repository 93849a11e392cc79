"""Methods from the factories that recipes give."""

from seglight.errors import UserError
from seglight.interfaces import Method, MethodFactory


def made_method(factory: MethodFactory, num_classes: int, ignore_index: int) -> Method:
    """The method of a factory.

    Args:
        factory: Called with the other two.
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.

    Raises:
        UserError: The factory takes something else.
    """
    try:
        return factory(num_classes, ignore_index)
    except TypeError as error:
        raise UserError(
            f"model.method: it is called with num_classes and ignore_index, and fails: {error}: give a subclass of "
            "seglight.interfaces.Method, such as seglight.training.methods.Supervised"
        ) from error
