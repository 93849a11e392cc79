"""Errors of remote storages: which of them may pass, and what they mean for the user.

The packages of the services are not imported for it: they may not be installed, and each has classes of its own.
"""

import errno

from seglight.errors import UserError, one_line

WITHOUT_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "DefaultCredentialsError",
}
"""Names of the classes of errors that every further request would meet, too."""

DENIED = {"PermissionError", "ClientAuthenticationError"}
"""Names of the classes of errors about rights."""

LASTING = {
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "FileExistsError",
    "FileNotFoundError",
    "ImportError",
    "IsADirectoryError",
    "LookupError",
    "NameError",
    "NotADirectoryError",
    "ParamValidationError",
    "TypeError",
    "ValueError",
}
"""Names of the classes of other errors that another attempt would meet again."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of this machine's disk, which are not those of the storage."""

LONGEST_REASON = 300
"""Characters of a service's message that are shown."""


class StorageError(Exception):
    """A storage does not answer or refuses everything, or there is no room for copies: no request makes sense."""


class AccessDeniedError(UserError):
    """The credentials do not allow a request."""


def of_disk(error: Exception) -> bool:
    """Whether an error is one of this machine's disk."""
    return isinstance(error, OSError) and error.errno in FULL


def may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: whatever is not known to last counts as trouble of the network."""
    return not of_disk(error) and not _is_denied(error) and not _names(error) & (WITHOUT_CREDENTIALS | LASTING)


def explained(error: Exception, address: str, past: str, attempts: int) -> UserError | StorageError:
    """What the last failure of a request means.

    Args:
        error: The failure.
        address: Address of the object or folder.
        past: What was not done with it, such as "read".
        attempts: Number of attempts for failures that may pass.
    """
    reason = one_line(error)[:LONGEST_REASON] or type(error).__name__
    if _names(error) & WITHOUT_CREDENTIALS:
        return StorageError(f"{address}: no credentials ({reason}): set up those of {address.partition('://')[0]}://")
    if _is_denied(error):
        return AccessDeniedError(f"{address}: access denied ({reason}): check what the credentials allow")
    return UserError(f"{address}: not {past}{f' in {attempts} attempts' if may_pass(error) else ''} ({reason})")


def _is_denied(error: Exception) -> bool:
    return bool(_names(error) & DENIED) or str(error).startswith("Forbidden")  # gcsfs has no class for it


def _names(error: Exception) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
