"""What processes of ours do first: a child ties itself to the bot and gives way to it, the bot hides its memory."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import Final

from loguru import logger

MIB: Final = 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
_NICE: Final = 5


def fence_in(parent: int, memory_mb: int) -> None:
    """Die with the bot, ignore Ctrl-C, use any core but give way, and take at most `memory_mb` MiB; 0 is no limit."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The bot may be pinned to one core; that was not meant for us.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    if os.getppid() != parent:
        os._exit(0)  # the bot was gone before we could tie ourselves to it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * MIB, memory_mb * MIB))
    os.nice(_NICE)


def hide_memory() -> None:
    """Keep other processes of the same user, strategies among them, from reading this one's memory and environment."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (OSError, AttributeError):
        logger.debug("this system cannot hide the process's memory")
