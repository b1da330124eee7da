"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile


def replace_file(file: str, content: bytes) -> None:
    """Write a file at once, in the place of the one that may be there, whose permissions it takes over.

    Raises:
        OSError: that cannot be done; then what was there is still there.
    """
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(file)), prefix=".netcheck-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        if os.path.exists(file):
            shutil.copymode(file, temporary)
        else:
            os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def umask() -> int:
    """The permissions that this process takes from new files; Python can only tell by setting them."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
