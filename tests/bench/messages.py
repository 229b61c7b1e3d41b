"""What a message costs on each runtime, and what 500 actors take: `python -m tests.bench.messages`.

Prints one JSON object. CPU is that of the process; `ring` hands one message around at a time, which is
the dearest case (every message wakes a sleeping thread), `busy` keeps all actors at work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.base import Context, EngineActor, Factory
from actors.runtime import ThreadRuntime
from actors.sim import SimRuntime
from engine.messages import Message

ACTORS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop(Message):
    """Pass it on `n` times."""

    n: int


class Runner(EngineActor):
    """Passes a `Hop` on to one of four others."""

    def __init__(self, ctx: Context, number: int) -> None:
        super().__init__(ctx)
        self.number = number

    def on_hop(self, message: Hop) -> None:
        """Pass it on."""
        if message.n:
            self.tell(f"runner:{(self.number * 7 + message.n % 4) % ACTORS}", Hop(n=message.n - 1))


def runner(number: int) -> Factory:
    """A factory of one runner."""
    return lambda ctx: Runner(ctx, number)


def pss_mb() -> float:
    """Memory of this process, its share of what it shares."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError("this machine does not tell the memory of a process")


def on_threads(tokens: int, hops: int, *, pin: bool) -> dict[str, float]:
    """Spawn all actors, let `tokens` messages be passed on `hops` times, and measure."""
    runtime = ThreadRuntime(pin=pin)
    memory, began = pss_mb(), time.perf_counter()
    for number in range(ACTORS):
        runtime.spawn(f"runner:{number}", runner(number), supervisor="nobody")
    spawned = time.perf_counter() - began
    total = tokens * (hops + 1)
    cpu, began = time.process_time(), time.perf_counter()
    for number in range(tokens):
        runtime.tell(f"runner:{number}", Hop(n=hops))
    while sum(actor.handled for actor in runtime.stats().actors) < total:
        time.sleep(0.01)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    figures = {
        "spawn_s": round(spawned, 3),
        "memory_mb": round(pss_mb() - memory, 1),
        "cpu_us_per_message": round(cpu / total * 1e6, 1),
        "messages_per_s": round(total / wall),
    }
    runtime.close()
    return figures


def on_simulation(tokens: int, hops: int) -> dict[str, float]:
    """The same in one thread and virtual time."""
    sim = SimRuntime(1)
    for number in range(ACTORS):
        sim.spawn(f"runner:{number}", runner(number))
        if number < tokens:
            sim.tell(f"runner:{number}", Hop(n=hops))
    cpu = time.process_time()
    sim.run_until_idle()
    cpu = time.process_time() - cpu
    total = tokens * (hops + 1)
    return {"cpu_us_per_message": round(cpu / total * 1e6, 1), "messages_per_s": round(total / cpu)}


def main(_arguments: Sequence[str] = ()) -> None:
    """Measure all and print it."""
    figures = {
        "actors": ACTORS,
        "threads_busy": on_threads(ACTORS, 200, pin=False),
        "threads_busy_pinned": on_threads(ACTORS, 200, pin=True),
        "threads_ring": on_threads(1, 20_000, pin=False),
        "threads_ring_pinned": on_threads(1, 20_000, pin=True),
        "simulation": on_simulation(ACTORS, 500),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
