"""Requests that are not answered: an HTTP status and one line."""


class Refused(Exception):  # noqa: N818  # no error of the server: what it answers
    """A request that is not answered.

    Args:
        status: HTTP status: 400 malformed, 401 no token, 403 sent by another website or to a name that is not answered
            to, 404 no such model, 406 no answer of a type that was asked for, 408 too slow, 413 too large, 415 not a
            format that is read, 422 an image that is damaged or that the net refuses, 429 too many are waiting, 500 its
            process died, 503 not ready, ending or too much at once, 504 it took too long.
        reason: One line for the client, without a path of this machine.
        retry_after: Seconds after which another attempt makes sense; None: not known, or never.
    """

    def __init__(self, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(status, reason, retry_after)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.reason
