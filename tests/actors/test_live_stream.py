"""A watched stream by itself: how often a silence is asked about, and what ends one."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.venues.live.stream import Stream
from actors.venues.live.times import Times

TIMES = Times(silence=0.05, silence_max=0.1, check=0.005, lag=0.02, backoff=0.01, backoff_max=0.02)


class Mute:
    """Stands for an instance of ccxt whose sockets are open and say nothing."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}

    def client(self, url: str) -> Any:
        raise NotImplementedError(url)

    def handle_message(self, client: Any, message: Any) -> None:
        raise NotImplementedError(message)


class Mutes:
    """Makes them."""

    async def instance(self, *, keyed: bool = False) -> Any:
        del keyed
        return Mute()

    async def release(self, instance: Any) -> None:
        del instance


class Quiet(Stream):
    """A stream of which nothing comes; `news` is what there is to tell."""

    def __init__(self) -> None:
        super().__init__(Mutes(), "quiet", TIMES)
        self.probes = 0
        self.news = False
        self.downs: list[str] = []
        self.enough = asyncio.Event()

    async def subscribe(self) -> None:
        """Nothing to ask for."""

    def is_open(self) -> bool:
        """At once."""
        return True

    def went_up(self) -> None:
        """Nobody is told."""

    def went_down(self, why: str) -> None:
        """Keep why."""
        self.downs.append(why)
        self.enough.set()

    async def probe(self) -> bool:
        """Count the questions."""
        self.probes += 1
        if self.probes == 5:
            self.enough.set()
        return self.news


def test_a_silence_is_asked_about_now_and_then() -> None:
    """A quiet stream costs one question each time its patience is over, not one with every look."""

    async def work() -> tuple[int, int]:
        quiet, loop = Quiet(), asyncio.get_running_loop()
        task, began = asyncio.ensure_future(quiet.run()), loop.time()
        await quiet.enough.wait()
        most = round((loop.time() - began) / TIMES.silence) + 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return quiet.probes, most

    probes, most = asyncio.run(work())
    assert probes <= most


def test_a_silence_that_hides_something_ends_the_stream() -> None:
    """The question has found news that the stream did not tell: it is started anew, and the reason is said."""

    async def work() -> Quiet:
        quiet = Quiet()
        quiet.news = True
        task = asyncio.ensure_future(quiet.run())
        await quiet.enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return quiet

    assert asyncio.run(work()).downs[0].endswith("though something has happened")
