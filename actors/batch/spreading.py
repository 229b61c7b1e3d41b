"""Work spread over processes: forked, so that what is loaded already is shared, and results come back as memory.

Each item is taken by whichever process is free: all read the numbers of the items from one file, whose place in it
they share. A process writes its results one behind the other into a file of its own in memory (`/dev/shm`, else the
temporary folder); their arrays are not copied but mapped by whoever asked. So neither the number of items nor
of results is bounded by a pipe or by how many files may be open. Ctrl-C lets the items under way end and begins no
more.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

T = TypeVar("T")

SHARED: Final = Path("/dev/shm")  # noqa: S108 -- a folder of one's own is made in it
_NUMBER: Final = struct.Struct("<q")
_RESULT: Final = struct.Struct("<qq")
"""A result's item, and where it begins in its process's file."""
_ALIGNED: Final = 64


@dataclass(frozen=True, slots=True)
class Unfinished:
    """In place of a result: why there is none; `stopped` where Ctrl-C came before it."""

    why: str
    stopped: bool = False


STOPPED: Final = Unfinished("Ctrl-C came before it", stopped=True)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a process puts its results, and which they are: files without names, so that nothing outlives a crash."""

    data: IO[bytes]
    index: IO[bytes]


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
    where = _roomy(size)
    with contextlib.ExitStack() as files:

        def nameless() -> IO[bytes]:
            return files.enter_context(tempfile.TemporaryFile(dir=where))

        queue = nameless()
        queue.write(b"".join(map(_NUMBER.pack, range(len(items)))))
        queue.seek(0)
        places = [_Place(nameless(), nameless()) for _ in range(min(processes, len(items)))]
        sys.stdout.flush()
        # A Ctrl-C before all are there would leave those that are to themselves: it waits.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        children = [_child(work, items, queue.fileno(), place) for place in places]
        failed = _ended(children, queue.fileno(), mask)
        why = Unfinished("its process ended early") if failed else STOPPED
        found = dict(result for place in places for result in _results(place))
        return [found.get(number, why) for number in range(len(items))]


def _roomy(size: int) -> Path | None:
    """The folder in memory, if so much fits into it."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage(SHARED).free > 2 * size:
            return SHARED
    return None


def _child(work: Callable[[T], Any], items: Sequence[T], queue: int, place: _Place) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while token := os.read(queue, _NUMBER.size):
            (number,) = _NUMBER.unpack(token)
            start = _write(place.data, work(items[number]))
            place.index.write(_RESULT.pack(number, start))
            place.index.flush()
        status = 0
    finally:
        os._exit(status)


def _ended(children: Sequence[int], queue: int, mask: set[signal.Signals | int]) -> bool:
    """Wait for all; whether one failed. Ctrl-C, heard again by `mask`, takes away what nobody has begun."""
    left, failed = list(children), False
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            while left:
                with contextlib.suppress(ChildProcessError):  # Ctrl-C came when it had just been waited for
                    failed |= bool(os.waitpid(left[0], 0)[1])
                left.pop(0)
        except KeyboardInterrupt:
            os.lseek(queue, 0, os.SEEK_END)
        else:
            return failed


def _write(file: IO[bytes], result: Any) -> int:
    """Append a result, wholly; where it begins."""
    buffers: list[pickle.PickleBuffer] = []
    plain = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [plain, *(buffer.raw() for buffer in buffers)]
    start = file.tell()
    file.write(_NUMBER.pack(len(parts)) + b"".join(_NUMBER.pack(len(part)) for part in parts))
    for part in parts:
        file.write(bytes(-file.tell() % _ALIGNED))
        file.write(part)
    file.flush()
    return start


def _results(place: _Place) -> Iterator[tuple[int, Any]]:
    """The items that a process has done, and their results."""
    place.index.seek(0)
    done = place.index.read()
    done = done[: len(done) - len(done) % _RESULT.size]  # the memory may have been full
    if not done:
        return
    memory = memoryview(mmap.mmap(place.data.fileno(), 0, access=mmap.ACCESS_READ))
    for number, start in _RESULT.iter_unpack(done):
        plain, *buffers = _parts(memory, start)
        yield number, pickle.loads(plain, buffers=buffers)  # noqa: S301 -- our own child has written it


def _parts(memory: memoryview, start: int) -> Iterator[memoryview]:
    """The parts of the result that begins at `start`."""
    (count,) = _NUMBER.unpack_from(memory, start)
    lengths = [_NUMBER.unpack_from(memory, start + _NUMBER.size * (number + 1))[0] for number in range(count)]
    at = start + _NUMBER.size * (count + 1)
    for length in lengths:
        at += -at % _ALIGNED
        yield memory[at : at + length]
        at += length
