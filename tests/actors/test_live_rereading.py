"""Markets that are read again: the loop goes on while they are made, and they are taken all at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import ccxt.pro
import pytest

from actors.venues.ccxt import Connection
from actors.venues.live.rereading import Pauses
from engine.settings import ExchangeConfig
from tests.actors.stub_server import StubServer, say, whole

WAIT_S = 30
ORDER = {"symbol": "AUSDT", "orderId": 7, "clientOrderId": "a", "status": "NEW", "side": "BUY", "type": "LIMIT"}


def listed(*bases: str) -> Any:
    """An answer with these coins' markets."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.0001", "maxQty": "9000", "stepSize": "0.0001"},
    ]
    told = {"status": "TRADING", "quoteAsset": "USDT", "filters": filters, "isSpotTradingAllowed": True}
    told["orderTypes"] = ["LIMIT", "MARKET", "LIMIT_MAKER"]
    return say(whole({"symbols": [{**told, "symbol": f"{base}USDT", "baseAsset": base} for base in bases]}))


@pytest.fixture
def server() -> Iterator[StubServer]:
    """An exchange with two markets."""
    with StubServer() as stub:
        stub.routes["/api/v3/time"] = say(whole({"serverTime": 1_700_000_000_000}))
        stub.routes["/api/v3/exchangeInfo"] = listed("A", "B")
        stub.routes["/api/v3/order"] = say(whole(ORDER))
        yield stub


@pytest.fixture
def connection(server: StubServer) -> Iterator[Connection]:
    """A connection to it that knows its markets, and waits for as long as a busy machine needs."""
    api = dict.fromkeys(("public", "private"), f"{server.base}/api/v3")
    config = ExchangeConfig(name="binance", options={"urls": {"api": api}, "timeout": WAIT_S * 1_000})
    made = Connection(config, keys={"apiKey": "key", "secret": "secret"})
    made.start()
    try:
        assert made.spawn(made.load()).result(WAIT_S).failure is None
        yield made
    finally:
        made.close()


class Held:
    """ccxt's making of tables, which begins (`begun`) and goes no further before `go_on`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        really = ccxt.pro.Exchange.set_markets

        def slowly(made: Any, *told: Any) -> Any:
            self.begun.set()
            self.go_on.wait(WAIT_S)
            return really(made, *told)

        patch.setattr(ccxt.pro.Exchange, "set_markets", slowly)


@pytest.fixture
def held(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """From here on tables are made only so far, once markets are known."""
    assert connection.markets()
    made = Held(monkeypatch)
    try:
        yield made
    finally:
        made.go_on.set()


def test_an_order_is_answered_while_a_changed_list_is_made(
    connection: Connection, server: StubServer, held: Held
) -> None:
    """The new tables are not finished when its answer comes; nobody has any of them before they are, then all have them."""
    server.routes["/api/v3/exchangeInfo"] = listed("A", "B", "C")
    loading = connection.spawn(connection.load(again=True))
    assert held.begun.wait(WAIT_S)

    args = ("A/USDT", "limit", "buy", 1.0, 100.0, {"clientOrderId": "a"})
    answer = connection.spawn(connection.request(connection.trading.create_order, *args)).result(WAIT_S)
    before = [sorted(made.markets) for made in (connection.trading, connection.data)]
    early = connection.spawn(connection.instance()).result(WAIT_S)
    done = loading.done()
    held.go_on.set()

    assert loading.result(WAIT_S).failure is None
    assert (answer.failure, done) == (None, False)
    assert answer.value["id"] == "7"
    assert before == [["A/USDT", "B/USDT"]] * 2
    assert sorted(connection.markets()) == ["A/USDT", "B/USDT", "C/USDT"]
    for made in (connection.trading, connection.data, early):
        assert made.markets is connection.data.markets
        assert made.market("C/USDT")["id"] == "CUSDT"
        assert made.currencies["C"]["code"] == "C"
    connection.spawn(connection.release(early)).result(WAIT_S)


def test_a_list_that_is_not_believed_is_seen_by_nobody(connection: Connection, server: StubServer, held: Held) -> None:
    """Its tables are made, looked at and dropped; what was known holds at any time, and the next good list is taken."""
    known = connection.data.markets
    server.routes["/api/v3/exchangeInfo"] = listed()
    held.go_on.set()

    assert connection.spawn(connection.load(again=True)).result(WAIT_S).failure is not None
    assert connection.data.markets is connection.trading.markets is known

    server.routes["/api/v3/exchangeInfo"] = listed("A", "B", "C")
    assert connection.spawn(connection.load(again=True)).result(WAIT_S).failure is None
    assert connection.trading.markets is connection.data.markets
    assert "C/USDT" in connection.data.markets


def test_a_connection_closes_while_a_list_is_made(connection: Connection, server: StubServer, held: Held) -> None:
    """It does not wait for the tables, and whoever waited for them is told that nothing came of it."""
    server.routes["/api/v3/exchangeInfo"] = listed("A", "B", "C")
    loading = connection.spawn(connection.load(again=True))
    assert held.begun.wait(WAIT_S)
    connection.close()

    assert loading.cancelled()
    assert sorted(connection.trading.markets) == ["A/USDT", "B/USDT"]


def test_a_thread_that_computes_lets_others_run() -> None:
    """Nobody may ask for the interpreter lock here, as in a bot hardly anybody does: another thread comes to its turn all the same."""
    ready, met, over = threading.Event(), threading.Event(), threading.Event()

    def other() -> None:
        ready.set()
        over.wait(WAIT_S)
        met.set()

    thread = threading.Thread(target=other)
    interval = sys.getswitchinterval()
    thread.start()
    assert ready.wait(WAIT_S)
    sys.setswitchinterval(1_000)
    try:
        pauses = Pauses()
        over.set()
        for _ in range(50_000_000):
            if met.is_set():
                break
            pauses()
        assert met.is_set()
    finally:
        sys.setswitchinterval(interval)
        thread.join(WAIT_S)
