"""What numpy raises when it reads an .npz file that is damaged."""

import struct
import zipfile
import zlib

DAMAGED_ARRAYS = (
    OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, MemoryError,
    RuntimeError,  # "encrypted", or its subclass NotImplementedError, "compressed in an unknown way": a changed byte
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""To be caught around `np.load` and the reading of its arrays."""
