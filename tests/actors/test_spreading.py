"""Work spread over forked processes, and room for it foreseen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from actors.batch.catalog import DataFile
from actors.batch.room import check_room, free_memory
from engine.errors import DataError

ROOT = Path(__file__).resolve().parent.parent.parent
START = "import os, json, time, signal, numpy as np\nfrom actors.batch.spreading import spread, may_fork, Unfinished\n"


def said(code: str) -> object:
    """What a process of its own prints, as JSON: this one has threads of other tests."""
    done = subprocess.run(
        [sys.executable, "-c", START + code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_results_come_back_in_order() -> None:
    """Whoever did it, in the order of the items; arrays are mapped, equal and read-only."""
    code = (
        "def work(n):\n"
        "    return {'n': n, 'who': os.getpid(), 'a': np.arange(n) * 0.5, 'b': np.arange(n) % 2 == 0}\n"
        "found = spread(work, list(range(40)), 2, 1000)\n"
        "print(json.dumps([may_fork(), [f['n'] for f in found] == list(range(40)), os.getpid() in {f['who'] for f in found},\n"
        "    all((f['a'] == np.arange(f['n']) * 0.5).all() for f in found), found[9]['a'].flags.writeable,\n"
        "    found[9]['b'].tolist()]))\n"
    )
    assert [True, True, False, True, False, [True, False] * 4 + [True]] == said(code)


def test_more_items_than_a_pipe_or_open_files_hold() -> None:
    """Twenty thousand items, under a limit of 64 open files, are all done: none waits for room, each result is whole."""
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "found = spread(lambda n: np.full(3, n), list(range(20_000)), 2, 1_000_000)\n"
        "print(json.dumps([len(found), all((f == n).all() for n, f in enumerate(found))]))\n"
    )
    assert [20_000, True] == said(code)


def test_nothing_is_left_behind_however_it_ends() -> None:
    """Results lie in files without names: when all processes are killed, the memory is free again."""
    code = (
        "before = set(os.listdir('/dev/shm'))\n"
        "def work(n):\n"
        "    new = sorted(set(os.listdir('/dev/shm')) - before)\n"
        "    return [name for name in new if 'tradepit' in name or name.startswith('tmp')]\n"
        "print(json.dumps(spread(work, [1], 1, 1000)))\n"
    )
    assert [[]] == said(code)


def test_a_process_that_dies() -> None:
    """Costs its item, which is said; the others are done."""
    code = (
        "def work(n):\n"
        "    if n == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return n\n"
        "found = spread(work, list(range(8)), 2, 1000)\n"
        "print(json.dumps([f.why if isinstance(f, Unfinished) else f for f in found]))\n"
    )
    assert [0, 1, 2, "its process ended early", 4, 5, 6, 7] == said(code)


def test_ctrl_c_begins_nothing_more() -> None:
    """The items under way end, the others are named."""
    code = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job begins without
        "def work(n):\n"
        "    if n == 1:\n"
        "        os.kill(os.getppid(), signal.SIGINT)\n"
        "    time.sleep(0.3)\n"
        "    return n\n"
        "found = spread(work, list(range(50)), 2, 1000)\n"
        "print(json.dumps([f.why if isinstance(f, Unfinished) else f for f in found]))\n"
    )
    found = said(code)

    assert isinstance(found, list)
    assert [0, 1] == found[:2]
    assert "Ctrl-C came before it" == found[-1]


def test_too_little_memory_is_said_before(tmp_path: Path) -> None:
    """How much is needed, how much there is, and what to do instead; small files are not even counted."""
    path = tmp_path / "A_USDT-5m.csv"
    path.write_text("date,open,high,low,close,volume\n" + "2025-01-01,1,1,1,1,1\n" * 500)
    file = DataFile(path, "A/USDT", "5m", "csv")

    check_room([file], None)
    check_room([file], 10 << 30)
    with pytest.raises(DataError, match=r"1 pairs with 50\d candles need about 100 MiB of memory, and 0 MiB are free"):
        check_room([file], 10_000)
    with pytest.raises(DataError, match="need about"):
        check_room([], 10_000, [file])
    assert (free_memory() or 1) > 0
