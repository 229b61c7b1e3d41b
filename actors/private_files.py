"""Reads what only its owner may read: keys and addresses. What is in such a file is never part of an error's text."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from engine.errors import TradepitError

LARGEST: Final = 1 << 16


def read_private(path: Path | str) -> str:
    """The text of a file that nobody but its owner, who is us, can read.

    Raises:
        TradepitError: it is not there, others may read or change it, or it is no short text.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise TradepitError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            raise TradepitError(f"{path} is no file.")
        if about.st_mode & 0o077 or about.st_uid != os.geteuid():
            mode = stat.S_IMODE(about.st_mode)
            raise TradepitError(f"{path} holds secrets and has mode {mode:04o}. Run: chmod 600 {path}")
        raw = os.read(fd, LARGEST + 1)
    finally:
        os.close(fd)
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise TradepitError(f"{path} is not UTF-8 text.") from None
    if len(raw) > LARGEST:
        raise TradepitError(f"{path} is larger than 64 KiB: that is no file of keys.")
    return text
