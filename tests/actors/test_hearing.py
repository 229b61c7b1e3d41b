"""What `check` says of addresses: a stream that cannot be opened, and pages where an exchange should answer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest

from actors.venues.ccxt import Connection
from actors.venues.live.examining import refusal_of
from actors.venues.live.failure import Exchanged, Verdict, failure_of
from actors.venues.live.hearing import WAIT_S, unheard
from engine.errors import Outage
from engine.settings import ExchangeConfig
from tests.actors.stub_server import StubServer, say, whole

PAGE = b"<html><body>Sorry</body></html>"


class Streaming:
    """Stands for a connection and for an instance of ccxt's: its stream opens, is refused, or does neither."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.has = {"watchOHLCV": True}
        self.clients: dict[str, Any] = {}
        self.released = 0

    async def instance(self) -> Any:
        return self

    async def release(self, instance: Any) -> None:
        assert instance is self
        self.released += 1

    async def watch_ohlcv(self, pair: str, timeframe: str) -> Any:
        """Never brings a candle: a quiet pair has none."""
        assert (pair, timeframe) == ("BTC/USDT", "1m")
        if self.how == "refused":
            raise ccxt.NetworkError("404, message='Invalid response status'")
        self.clients["wss://x"] = SimpleNamespace(connectionEstablished=self.how == "open" or None)
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("how", "words"),
    [("open", ""), ("refused", "(404, message='Invalid response status')"), ("silent", "(no connection within 0 s)")],
)
def test_a_stream_is_opened_once(how: str, words: str) -> None:
    """An open socket is enough, whether or not anything is traded; else it is said why not; it is closed in any case."""
    streaming: Any = Streaming(how)

    told = asyncio.run(unheard(streaming, "BTC/USDT", "1m", 0 if how == "silent" else WAIT_S))

    assert told.startswith("WARNING: the stream of candles cannot be opened") == bool(words)
    assert words in told
    assert streaming.released == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("451 Unavailable For Legal Reasons", "refuses this address, most likely for the country that it is in"),
        ("403 Forbidden", "refuses this address: for its country, or for too many requests"),
        ("404 Not Found", "there is no such place: the addresses under [exchange] options may be wrong"),
    ],
)
def test_an_address_that_is_refused_is_said(status: str, words: str) -> None:
    """A page instead of an answer is an outage, and what it likely is comes first."""
    with StubServer({"/time": say(whole(PAGE, status))}) as server:
        urls = {"api": dict.fromkeys(("public", "private", "sapi"), server.base)}
        connection = Connection(ExchangeConfig(name="binance", options={"urls": urls}))
        connection.start()
        try:
            answer = connection.spawn(connection.load()).result()
        finally:
            connection.close()
    error = refusal_of("binance", answer)

    assert isinstance(error, Outage)
    assert words in str(error)
    assert "Sorry" not in str(error)


def test_an_order_that_meets_such_a_page_is_still_in_doubt() -> None:
    """The words say more, the verdict is the same; of Bybit, whose 403 is a ban, silence is kept."""
    for status, error, verdict in (
        (451, ccxt.ExchangeNotAvailable("451"), Verdict.IN_DOUBT),
        (403, ccxt.RateLimitExceeded("403"), Verdict.SILENCE),
        (403, ccxt.PermissionDenied("not allowed"), Verdict.REFUSED),
    ):
        failure = failure_of(error, Exchanged(written=True, status=status), 0)

        assert failure.verdict is verdict
        assert ("this address" in failure.reason) == (verdict is not Verdict.REFUSED)
