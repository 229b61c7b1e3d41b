"""The connection through ccxt: what it asks, what it makes of answers, and what it knows of a request's fate."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from actors.venues.capabilities import exchanges
from actors.venues.ccxt import Connection, Unconnected, odd_options
from actors.venues.live.failure import Exchanged, Failure, NotLeaving, Verdict, failure_of, sentence_of
from actors.venues.live.used import UsedCounts, pool_of
from actors.venues.live.wire import Answer, watched
from engine.quota import Pool
from engine.settings import ExchangeConfig
from tests.actors.stub_server import Reply, StubServer, reset, say, whole

D = Decimal


def market(symbol: str, base: str, **changes: Any) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.0001", "maxQty": "9000", "stepSize": "0.0001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "120", "stepSize": "0"},
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"},
    ]
    told = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT", "filters": filters}
    return {**told, "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"], "isSpotTradingAllowed": True, **changes}


MARKETS = {
    "symbols": [
        market("BTCUSDT", "BTC"),
        market("ETHUSDT", "ETH", status="BREAK"),
        market("ODDUSDT", "ODD", filters=[]),
    ]
}
ORDER = {"symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "a", "status": "NEW", "side": "BUY", "type": "LIMIT"}


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer() as stub:
        stub.routes["/api/v3/time"] = say(whole({"serverTime": 1_700_000_000_000}))
        stub.routes["/api/v3/exchangeInfo"] = say(whole(MARKETS, X_MBX_USED_WEIGHT_1M="20"))
        yield stub


@pytest.fixture
def connection(server: StubServer) -> Iterator[Connection]:
    api = dict.fromkeys(("public", "private"), f"{server.base}/api/v3")
    config = ExchangeConfig(name="binance", options={"urls": {"api": api}, "timeout": 20_000})
    made = Connection(config, keys={"apiKey": "key", "secret": "secret"})
    made.start()
    try:
        assert made.spawn(made.load()).result(60).failure is None
        yield made
    finally:
        made.close()


def create(connection: Connection, leave: Any = None) -> Answer:
    """Send a limit order."""
    args = ("BTC/USDT", "limit", "buy", 1.0, 100.0, {"clientOrderId": "a"})
    return connection.spawn(connection.request(connection.trading.create_order, *args, leave=leave)).result(60)


def fate(answer: Answer) -> tuple[str, str]:
    assert answer.failure is not None, answer.value
    return answer.failure.verdict.value, answer.failure.code


def test_markets_are_told_in_the_engines_words(connection: Connection) -> None:
    """Steps, limits and fees are exact, a halted market is inactive, one without steps is left out."""
    markets = connection.markets()
    btc = markets["BTC/USDT"]

    assert sorted(markets) == ["BTC/USDT", "ETH/USDT"]
    assert (btc.price_step, btc.amount_step, btc.amount_min) == (D("0.01"), D("0.0001"), D("0.0001"))
    assert (btc.amount_max, btc.cost_min, btc.taker_fee) == (D(120), D(5), D("0.001"))
    assert (btc.active, markets["ETH/USDT"].active) == (True, False)


def test_markets_are_shared_and_asked_for_once(connection: Connection, server: StubServer) -> None:
    """All instances have the same market objects, also one made later, and only one asked for them."""
    made = connection.spawn(connection.instance()).result(60)
    same = made.markets is connection.trading.markets is connection.data.markets
    connection.spawn(connection.release(made)).result(60)

    assert same
    assert server.paths() == ["GET /api/v3/time", "GET /api/v3/exchangeInfo"]
    assert (connection.trading.apiKey, connection.data.apiKey, made.apiKey) == ("key", None, None)


def test_the_limits_that_the_exchange_lists_are_kept(connection: Connection, server: StubServer) -> None:
    """`exchangeInfo` tells them beside the markets; ccxt drops them, so they are taken where they pass."""
    assert connection.reported == ()
    listed = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50}]
    server.routes["/api/v3/exchangeInfo"] = say(whole({**MARKETS, "rateLimits": listed}))

    assert connection.spawn(connection.load(again=True)).result(60).failure is None

    assert connection.reported == (Pool("orders_10s", 50, 10_000),)


def test_the_exchanges_clock_is_gone_by(connection: Connection, server: StubServer) -> None:
    """Our clock is far off: requests are stamped with the exchange's time, and `now` tells it."""
    server.routes["/api/v3/order"] = say(whole(ORDER))
    answer = create(connection)

    assert answer.failure is None
    assert abs(connection.now() - 1_700_000_000_000) < 60_000
    assert abs(int(server.asked[-1].query["timestamp"]) - connection.now()) < 5_000
    assert abs(answer.sent_at - connection.now()) < 5_000
    assert connection.offset_ms < -1e10


def test_requests_are_signed_with_the_time_they_are_judged_by(connection: Connection, server: StubServer) -> None:
    """Our clock is set back after the exchange's was read: neither `now` nor a request's time goes with it."""
    server.routes["/api/v3/order"] = say(whole(ORDER))
    connection.trading.milliseconds = lambda: 5
    assert create(connection).failure is None

    assert abs(int(server.asked[-1].query["timestamp"]) - connection.now()) < 5_000


@pytest.mark.parametrize("name", exchanges())
def test_every_exchange_is_signed_for_by_that_clock(name: str) -> None:
    """Each of the ten classes takes its time from the one place that is minded."""
    made = watched(getattr(ccxt.pro, name), lambda: 123, UsedCounts())({"timeout_on_exit": 0})

    assert made.nonce() == 123


def test_the_exchanges_counts_are_kept_for_their_window(connection: Connection) -> None:
    """Used weight and order counts come from headers; a window that began since is empty, unless something is under way."""
    now, used = connection.now(), UsedCounts()
    used.count({"X-MBX-USED-WEIGHT-1M": "44", "x-mbx-order-count-1d": "9", "X-MBX-ORDER-COUNT-10S": "odd"}, now, now)
    used.count({"X-MBX-USED-WEIGHT-1M": "40"}, now, now)  # an answer that was overtaken
    used.count({"X-MBX-ORDER-COUNT-10S": "3"}, now - 10_000, now)  # sent in another window

    assert used.at(now) == {"weight_1m": 44, "orders_1d": 9}
    assert used.at(now + 60_000) == {"weight_1m": 0, "orders_1d": 9}
    used.flying = 1
    assert used.at(now + 60_000) == {"orders_1d": 9}
    assert connection.usage(now) in ({"weight_1m": 20}, {"weight_1m": 0})
    assert pool_of("Content-Type") is None


CUT = whole(ORDER)[:-20]
LATE: Reply = lambda _, sock: sock.recv(1)  # noqa: E731 - waits until the client has lost its patience


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (reset, ("in_doubt", "")),
        (LATE, ("in_doubt", "")),
        (say(CUT), ("in_doubt", "")),
        (say(whole({}, "502 Bad Gateway")), ("in_doubt", "")),
        (say(whole(b"<html>", "503 Service Unavailable")), ("in_doubt", "")),
        (say(whole({"code": -1007, "msg": "Timeout waiting for response."}, "504 Gateway Timeout")), ("in_doubt", "")),
        (say(whole({"code": -1001, "msg": "Internal error."}, "503 Service Unavailable")), ("in_doubt", "")),
        (say(whole({"code": -1006, "msg": "Unexpected response."}, "503 Service Unavailable")), ("in_doubt", "")),
        (say(whole({"code": -1, "msg": "System is under maintenance."}, "503 Busy")), ("refused", "UNREACHABLE")),
        (say(whole({"code": -1003, "msg": "Too much."}, "429 Too Many", Retry_After="7")), ("silence", "NO_PERMIT")),
        (say(whole({"code": -1015, "msg": "Too many new orders."}, "400 Bad Request")), ("silence", "NO_PERMIT")),
        (
            say(whole({"code": -2010, "msg": "Account has insufficient balance for requested action."}, "400 Bad")),
            ("refused", "INSUFFICIENT_FUNDS"),
        ),
        (
            say(whole({"code": -2010, "msg": "Stop price would trigger immediately."}, "400 Bad")),
            ("refused", "WOULD_TRIGGER"),
        ),
        (say(whole({"code": -2010, "msg": "Something new."}, "400 Bad")), ("refused", "INVALID_ORDER")),
        (say(whole({"code": -9999, "msg": "Something new."}, "400 Bad")), ("refused", "REFUSED")),
        (
            say(whole({"code": -1013, "msg": "Filter failure: LOT_SIZE"}, "400 Bad Request")),
            ("refused", "INVALID_ORDER"),
        ),
        (say(whole({"code": -1021, "msg": "Timestamp outside of the recvWindow."}, "400 Bad")), ("refused", "REFUSED")),
        (say(whole({"code": -2015, "msg": "Invalid API-key."}, "401 Unauthorized")), ("refused", "REFUSED")),
        (say(whole({"code": -2010, "msg": "Duplicate order sent."}, "400 Bad")), ("in_doubt", "")),
    ],
)
def test_a_failure_is_what_is_known_of_it(
    connection: Connection, server: StubServer, reply: Reply, told: tuple[str, str]
) -> None:
    """Each accident of a request that was written ends in doubt, unless the answer itself says that it was refused."""
    server.routes["/api/v3/order"] = reply
    if reply is LATE:
        connection.trading.timeout = 500

    assert fate(create(connection)) == told


def test_silence_is_told_with_its_length(connection: Connection, server: StubServer) -> None:
    """Retry-After counts; a ban says until when; without either a stated time serves."""
    until = connection.now() + 90_000
    replies = [
        say(whole({}, "429 Too Many", Retry_After="7")),
        say(whole({"code": -1003, "msg": f"IP banned until {until}."}, "418 Teapot")),
        say(whole({}, "429 Too Many")),
    ]
    failures = []
    for reply in replies:
        server.routes["/api/v3/order"] = reply
        failure = create(connection).failure
        assert isinstance(failure, Failure)
        failures.append(failure)

    told, ban, stated = (failure.retry_after_ms for failure in failures)
    assert (told, stated) == (7_000, 10_000)
    assert 30_000 < ban <= 90_000  # what has passed since it was said is taken off
    assert [failure.banned for failure in failures] == [False, True, False]


@pytest.mark.parametrize(
    ("status", "ahead_ms", "silence_ms", "banned"),
    [(200, 1_700, 1_700, False), (200, -5, 1_000, False), (403, 0, 600_000, True)],
)
def test_bybit_tells_until_when_it_wants_silence(*, status: int, ahead_ms: int, silence_ms: int, banned: bool) -> None:
    """Its header says when its count begins anew, for one second at least; 403 is its ban of ten minutes."""
    now = 1_700_000_000_000
    headers = {} if banned else {"X-Bapi-Limit-Reset-Timestamp": str(now + ahead_ms)}
    failure = failure_of(
        ccxt.pro.RateLimitExceeded("too many"), Exchanged(written=True, status=status, headers=headers), now
    )

    assert (Verdict.SILENCE, silence_ms, banned) == (failure.verdict, failure.retry_after_ms, failure.banned)


def test_an_exchange_that_nobody_can_reach_has_got_nothing(server: StubServer) -> None:
    """What could not be written is unsent, not in doubt."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody else gets this port meanwhile
        port = deaf.getsockname()[1]
        config = ExchangeConfig(name="binance", options={"urls": {"api": {"public": f"http://127.0.0.1:{port}"}}})
        connection = Connection(config)
        connection.start()
        try:
            answer = connection.spawn(connection.load()).result(60)
            assert fate(answer) == ("unsent", "UNREACHABLE")
            assert connection.markets() == {}
        finally:
            connection.close()


def test_a_request_is_held_back_at_the_socket(connection: Connection, server: StubServer) -> None:
    """What must not leave any more is stopped after the connection is made, and nothing reaches the exchange."""
    seen = len(server.asked)

    def leave() -> None:
        raise NotLeaving("TOO_LATE", "it was to be sent until 5")

    answer = create(connection, leave)

    assert fate(answer) == ("unsent", "TOO_LATE")
    assert (len(server.asked), answer.sent_at) == (seen, 0)
    server.routes["/api/v3/order"] = say(whole(ORDER))
    assert create(connection).failure is None


def test_what_ccxt_itself_refuses_is_refused(connection: Connection) -> None:
    """An order that ccxt sees cannot be is never sent, and the verdict says so."""
    answer = connection.spawn(
        connection.request(connection.trading.create_order, "NO/SUCH", "limit", "buy", 1.0, 1.0)
    ).result(60)

    assert fate(answer) == ("refused", "MARKET_CLOSED")


def test_no_secret_is_told(connection: Connection, server: StubServer) -> None:
    """Neither the signature nor the key appears in a failure's sentence."""
    server.routes["/api/v3/order"] = reset
    failure = create(connection).failure
    assert failure is not None

    assert failure.verdict is Verdict.IN_DOUBT
    assert "signature=…" in failure.reason or "signature" not in failure.reason
    assert "secret" not in failure.reason


def test_futures_errors_are_known_behind_another_host(server: StubServer) -> None:
    """A margin that is too small is told as missing funds though the address is not Binance's."""
    info = market("BTCUSDT", "BTC", contractType="PERPETUAL", marginAsset="USDT", pair="BTCUSDT")
    server.routes["/fapi/v1/exchangeInfo"] = say(whole({"symbols": [info]}))
    server.routes["/fapi/v1/time"] = say(whole({"serverTime": 1_700_000_000_000}))
    server.routes["/fapi/v1/order"] = say(whole({"code": -2019, "msg": "Margin is insufficient."}, "400 Bad"))
    api = dict.fromkeys(("fapiPublic", "fapiPrivate"), f"{server.base}/fapi/v1")
    connection = Connection(
        ExchangeConfig(name="binance", options={"urls": {"api": api}}),
        futures=True,
        keys={"apiKey": "k", "secret": "s"},
    )
    connection.start()
    try:
        assert connection.spawn(connection.load()).result(60).failure is None
        args = ("BTC/USDT:USDT", "limit", "buy", 1.0, 100.0)
        answer = connection.spawn(connection.request(connection.trading.create_order, *args)).result(60)
        assert sorted(connection.markets()) == ["BTC/USDT:USDT"]
        assert fate(answer) == ("refused", "INSUFFICIENT_FUNDS")
    finally:
        connection.close()


def test_an_unknown_exchange_is_refused_in_a_sentence() -> None:
    """A name that ccxt does not know is said, with those that it knows; nothing stays behind."""
    connection = Connection(ExchangeConfig(name="nonsense"))
    with pytest.raises(Unconnected, match='ccxt knows no exchange "nonsense"'):
        connection.start()
    connection.close()
    answer = connection.spawn(connection.load())

    assert answer.cancelled()


def test_what_runs_ends_with_the_connection(connection: Connection, server: StubServer) -> None:
    """Closing cancels what waits, so that nobody hangs."""
    server.routes["/api/v3/order"] = LATE
    args = ("BTC/USDT", "limit", "buy", 1.0, 100.0)
    waiting = connection.spawn(connection.request(connection.trading.create_order, *args))
    connection.close()

    assert waiting.cancelled() or waiting.result(60).failure is not None


@pytest.mark.parametrize("body", [b"<html>We are down</html>", b"{}", b'{"symbols": []}', b'{"symbols": null}'])
def test_a_list_without_markets_is_not_believed(connection: Connection, server: StubServer, body: bytes) -> None:
    """A page of something else in the place of the markets is a failure: no pair is delisted by it, and orders can be sent."""
    server.routes["/api/v3/exchangeInfo"] = say(whole(body))
    server.routes["/api/v3/order"] = say(whole(ORDER))

    answer = connection.spawn(connection.load(again=True)).result(60)

    assert ("in_doubt", "") == fate(answer)
    assert ["BTC/USDT", "ETH/USDT"] == sorted(connection.markets())
    assert connection.data.markets is connection.trading.markets
    assert create(connection).failure is None


def test_a_list_without_most_of_the_markets_is_not_believed(connection: Connection, server: StubServer) -> None:
    """Four of nine markets are half an answer; five of nine, three times in a row, are so many delistings."""
    many = [market(f"C{n}USDT", f"C{n}") for n in range(9)]
    server.routes["/api/v3/exchangeInfo"] = say(whole({"symbols": many}))
    for _ in range(3):
        assert connection.spawn(connection.load(again=True)).result(60).failure is None
    server.routes["/api/v3/exchangeInfo"] = say(whole({"symbols": many[:4]}))
    told = connection.spawn(connection.load(again=True)).result(60).failure
    assert told is not None
    assert "4 of 9 markets" in told.reason
    assert 9 == len(connection.markets())
    server.routes["/api/v3/exchangeInfo"] = say(whole({"symbols": many[:5]}))
    listed = []
    for _ in range(3):
        assert connection.spawn(connection.load(again=True)).result(60).failure is None
        listed.append(len(connection.markets()))

    assert [9, 9, 5] == listed


def test_a_list_that_says_the_same_again_is_not_made_again(connection: Connection, server: StubServer) -> None:
    """Thousands of markets take half a second, in which no order leaves; what has changed is taken, what is bad is not."""
    many = [market(f"C{n}USDT", f"C{n}") for n in range(9)]
    halted = [market("C0USDT", "C0", status="BREAK"), *many[1:]]
    found: list[tuple[bool, bool, int, bool]] = []
    for listed in (many, many, many, many, many, halted, halted, many[:4], many[:4], many, many):
        before, known = connection.data.markets, connection.markets().get("C1/USDT")
        server.routes["/api/v3/exchangeInfo"] = say(whole({"symbols": listed}))
        failed = connection.spawn(connection.load(again=True)).result(60).failure is not None
        same = connection.data.markets is before and connection.markets().get("C1/USDT") is known
        states = {pair: one.active for pair, one in connection.markets().items() if pair.startswith("C")}
        found.append((failed, same, len(states), states["C0/USDT"]))
        assert connection.trading.markets is connection.data.markets

    del found[:3]  # by then the pairs of the start are gone
    assert found[:2] == [(False, True, 9, True)] * 2
    assert found[2:4] == [(False, False, 9, False), (False, True, 9, False)]
    assert [one[0] for one in found[4:6]] == [True, True]
    assert [one[2:] for one in found[4:6]] == [(9, False), (9, False)]
    assert found[6:] == [(False, False, 9, True), (False, True, 9, True)]


@pytest.mark.parametrize("told", [[], [market("BTCUSDT", "BTC", filters=[])]], ids=["missing", "without steps"])
def test_a_pair_is_gone_after_three_answers_without_it(
    connection: Connection, server: StubServer, told: list[dict[str, Any]]
) -> None:
    """Until then it is known, to ccxt too, takes no entries and is asked for again soon; when it is listed again it trades."""
    others = [market("ETHUSDT", "ETH"), *told]
    states, steps, doubts = [], [], []
    for listed in (others, others, others, MARKETS["symbols"]):
        server.routes["/api/v3/exchangeInfo"] = say(whole({"symbols": listed}))
        connection.market_doubts.clear()
        assert connection.spawn(connection.load(again=True)).result(60).failure is None
        known = connection.markets().get("BTC/USDT")
        states.append(None if known is None else known.active)
        steps.append(connection.trading.markets.get("BTC/USDT", {}).get("precision", {}).get("price"))
        doubts.append(connection.market_doubts.is_set())

    assert [False, False, None, True] == states
    assert [0.01, 0.01, None, 0.01] == steps
    assert [True, True, False, False] == doubts


@pytest.mark.parametrize(
    "options",
    [
        {"maxRetriesOnFailure": 3},
        {"options": {"maxRetriesOnFailure": 3}},
        {"options": {"defaultMaxRetriesOnFailure": 3}},
        {"options": {"order": {"maxRetriesOnFailure": 3}}},
    ],
)
def test_nobody_has_ccxt_repeat_orders(options: dict[str, Any]) -> None:
    """An order that ccxt sent twice would be filled twice: the setting is refused wherever it stands."""
    told = [problem.key for problem in odd_options("binance", options)]

    assert told[0].endswith("axRetriesOnFailure")


def test_ccxt_sends_an_order_once(server: StubServer) -> None:
    """The answer is lost: the order is in doubt, and was written once, whatever ccxt was told about repeating."""
    api = dict.fromkeys(("public", "private"), f"{server.base}/api/v3")
    options = {"urls": {"api": api}, "timeout": 20_000, "options": {"maxRetriesOnFailure": 3}}
    connection = Connection(ExchangeConfig(name="binance", options=options), keys={"apiKey": "key", "secret": "secret"})
    connection.start()
    try:
        assert connection.spawn(connection.load()).result(60).failure is None
        server.routes["/api/v3/order"] = say(whole({"code": -1007, "msg": "Timeout."}, "504 Gateway Timeout"))
        assert fate(create(connection)) == ("in_doubt", "")
    finally:
        connection.close()

    assert server.paths().count("POST /api/v3/order") == 1


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("binance", {"sandboxMode": True}, "exchange.options.sandboxMode"),
        ("binance", {"isSandboxModeEnabled": True}, "exchange.options.isSandboxModeEnabled"),
        ("binance", {"options": {"test": True}}, "exchange.options.options.test"),
        ("kraken", {"sandbox": True}, "exchange.options.sandbox"),
        ("binance", {"sandbox": "yes"}, "exchange.options.sandbox"),
    ],
)
def test_nobody_trades_for_real_who_meant_a_test_network(name: str, options: dict[str, Any], key: str) -> None:
    """What only looks like the way to a test network is refused, and so is the way itself where there is none."""
    assert [key] == [problem.key for problem in odd_options(name, options)]


def test_what_looks_like_a_test_network_is_refused_without_its_value() -> None:
    """A table of that name may hold a secret: it is not told."""
    (told,) = odd_options("binance", {"demo": {"secret": "hush"}})

    assert "hush" not in str(told)


def test_a_test_network_is_a_matter_of_one_option() -> None:
    """Binance has one: the option is taken, and requests go there."""
    assert [] == odd_options("binance", {"sandbox": True})
    connection = Connection(ExchangeConfig(name="binance", options={"sandbox": True}))
    connection.start()
    try:
        assert "testnet" in connection.data.urls["api"]["public"]
    finally:
        connection.close()


@pytest.mark.parametrize("page", ["<html><h1>Bad Gateway</h1></html>", '<!DOCTYPE html>\n<html lang="en">', "<HEAD>x"])
def test_a_page_is_not_told_word_by_word(page: str) -> None:
    """An exchange's page of an error is told as one: its text is for browsers."""
    told = sentence_of(ValueError(f"binance GET https://x/time 502 Bad Gateway {page}"))

    assert "binance GET https://x/time 502 Bad Gateway and a web page" == told


@pytest.mark.parametrize("timeout", [0, -5])
def test_a_request_has_an_end(timeout: int) -> None:
    """Without a time-out a request that is never answered would be waited for for ever: nobody may ask for that."""
    (told,) = odd_options("binance", {"timeout": timeout})

    assert ("exchange.options.timeout", str(timeout)) == (told.key, told.value)
