"""Work spread over processes: forked, so that what is loaded already is shared, and results come back as memory.

Each item is taken by whichever process is free. A result is pickled into a file of its own in memory
(`/dev/shm`, else the temporary folder); its arrays are not copied but mapped by whoever asked. Ctrl-C lets the
items under way end and begins no more.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

SHARED: Final = Path("/dev/shm")  # noqa: S108 -- a folder of one's own is made in it
_NUMBER: Final = struct.Struct("<q")
_ALIGNED: Final = 64


class Unfinished:
    """In place of a result: why there is none."""

    def __init__(self, why: str) -> None:
        self.why = why


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def may_fork() -> bool:
    """Whether forking is safe here: it is there, and no other thread of ours could hold a lock."""
    threads = sys.modules.get("threading")
    return hasattr(os, "fork") and (threads is None or threads.active_count() == 1)


def spread(work: Callable[[T], Any], items: Sequence[T], processes: int, size: int) -> list[Any]:
    """`work(item)` of every item, in their order; an `Unfinished` where Ctrl-C or its process's end came first.

    `size` is about how many bytes all results take. `work` must not raise.
    """
    folder = Path(tempfile.mkdtemp(prefix="tradepit-", dir=_roomy(size)))
    todo, feed = os.pipe()
    try:
        for number in range(len(items)):
            os.write(feed, _NUMBER.pack(number))
        os.close(feed)
        sys.stdout.flush()
        children = [_child(work, items, todo, folder) for _ in range(min(processes, len(items)))]
        ends = [_wait(child, todo) for child in children]
        why = "its process ended early" if any(ends) else "Ctrl-C came before it"
        return [_load(folder / str(number), why) for number in range(len(items))]
    finally:
        os.close(todo)
        shutil.rmtree(folder, ignore_errors=True)


def _roomy(size: int) -> Path | None:
    """The folder in memory, if so much fits into it."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(SHARED).free > 2 * size:
            return SHARED
    return None


def _child(work: Callable[[T], Any], items: Sequence[T], todo: int, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while token := os.read(todo, _NUMBER.size):
            (number,) = _NUMBER.unpack(token)
            _save(folder / str(number), work(items[number]))
        status = 0
    finally:
        os._exit(status)


def _wait(child: int, todo: int) -> int:
    """A child's status; Ctrl-C takes away what it has not begun."""
    while True:
        try:
            return os.waitpid(child, 0)[1]
        except KeyboardInterrupt:
            while os.read(todo, 1 << 16):
                pass


def _save(path: Path, result: Any) -> None:
    buffers: list[pickle.PickleBuffer] = []
    plain = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [plain, *(buffer.raw() for buffer in buffers)]
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(_NUMBER.pack(len(parts)) + b"".join(_NUMBER.pack(len(part)) for part in parts))
        for part in parts:
            file.write(bytes(-file.tell() % _ALIGNED))
            file.write(part)
    partial.rename(path)


def _load(path: Path, why: str) -> Any:
    if not path.exists():
        return Unfinished(why)
    with path.open("rb") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    plain, *buffers = _parts(memory)
    return pickle.loads(plain, buffers=buffers)  # noqa: S301 -- our own child has written it


def _parts(memory: memoryview) -> Iterator[memoryview]:
    (count,) = _NUMBER.unpack_from(memory)
    at = _NUMBER.size * (count + 1)
    for number in range(count):
        (length,) = _NUMBER.unpack_from(memory, _NUMBER.size * (number + 1))
        at += -at % _ALIGNED
        yield memory[at : at + length]
        at += length
