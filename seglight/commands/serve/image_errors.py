"""HTTP statuses of images that are refused."""

from seglight.errors import UserError
from seglight.images.image_header import UnknownFormatError, UnreadImageError


def status_of(error: UserError) -> int:
    """415 for an image of no format that is read, 422 for any other that is refused."""
    unread = isinstance(error, UnreadImageError) and error.kind == "format"
    return 415 if unread or isinstance(error, UnknownFormatError) else 422
