"""The local exchange's second door, Bybit's, driven by the unmodified ccxt class."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import ccxt
import pytest

from actors.venues.capabilities import capability
from tests.exchange.client import Exchange
from tests.exchange.driving import drive, outcome, until

PAIR = "BTC/USDT"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """One exchange whose prices stand still unless told."""
    arguments = ("--pairs", "4", "--still", "--for", "1800", "--funds", "USDT=100000,BTC=1")
    with Exchange(*arguments, name="bybit") as there:
        yield there


@pytest.fixture(autouse=True)
def afresh(exchange: Exchange) -> Iterator[None]:
    """As at the start; and nothing went wrong in the exchange itself."""
    exchange.control("reset")
    yield
    assert [] == exchange.control("state")["failures"]


def recorded(exchange: Exchange) -> dict[str, dict[str, Any]]:
    """The exchange's own record of each order, by client id."""
    return {order["client_id"]: order for order in exchange.control("ledger")["orders"]}


def bought(bybit: Any, client_id: str, amount: float = 0.01, price: float = 61_000) -> Any:
    """A buy that takes what is there."""
    return bybit.create_order(PAIR, "limit", "buy", amount, price, {"clientOrderId": client_id, "timeInForce": "IOC"})


def stopped(bybit: Any, client_id: str, amount: float = 0.01, price: float = 59_000) -> Any:
    """A stop to sell."""
    return bybit.create_order(
        PAIR, "market", "sell", amount, None, {"clientOrderId": client_id, "stopLossPrice": price}
    )


async def by_link(bybit: Any, client_id: str) -> Any:
    """An order by its link id, asked for as the bot asks; None where no list has it."""
    for call in capability("bybit").fetch(PAIR, client_id):
        for order in await getattr(bybit, call.method)(*call.args, dict(call.params)):
            return order
    return None


def test_an_order_is_taken_filled_and_told(exchange: Exchange) -> None:
    """The answer names the ids only; state, fill, fee and wallet are the ledger's, on lists and streams alike."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        await bybit.is_unified_enabled()
        orders, trades = asyncio.ensure_future(bybit.watch_orders()), asyncio.ensure_future(bybit.watch_my_trades())
        await until(lambda: exchange.control("sockets")["bybit"]["topics"] == [["execution", "order"]])
        made = await bought(bybit, "a1")
        lists = await bybit.fetch_my_trades(PAIR)
        return made, await by_link(bybit, "a1"), lists, await orders, await trades, await bybit.fetch_balance()

    made, order, lists, orders, trades, balance = drive(exchange, work)
    (record,) = exchange.control("ledger")["trades"]
    keys = ("id", "order", "price", "amount", "fee")

    assert (str(record["order_id"]), "a1", None) == (made["id"], made["clientOrderId"], made["status"])
    assert ("closed", 0.01, 60000.0, PAIR) == (order["status"], order["filled"], order["average"], order["symbol"])
    assert [trade[key] for trade in lists for key in keys] == [trade[key] for trade in trades for key in keys]
    assert (str(record["id"]), float(record["fee"]), "BTC") == (
        lists[0]["id"],
        lists[0]["fee"]["cost"],
        lists[0]["fee"]["currency"],
    )
    assert [PAIR] == [one["symbol"] for one in orders]
    assert (1.00999, 0.0, 99400.0) == (balance["BTC"]["total"], balance["BTC"]["used"], balance["USDT"]["free"])


def test_refusals_have_their_codes(exchange: Exchange) -> None:
    """A used link id, missing funds, an unknown order, a bad key and signature, an old timestamp: what ccxt knows them as.

    An id without a value, which ccxt's own look-up writes beside a link id, is one: ours does without.
    """

    async def work(bybit: Any) -> list[Any]:
        await bought(bybit, "a1")
        told = [
            await outcome(bought(bybit, "a1")),
            await outcome(bought(bybit, "a2", 5.0)),
            await outcome(bybit.cancel_order(None, PAIR, {"orderLinkId": "a9"})),
            await outcome(bybit.fetch_order("", PAIR, {"orderLinkId": "a1", "acknowledged": True})),
            await outcome(bought(bybit, "a3", price=70_000)),
            await outcome(stopped(bybit, "s1", price=61_000)),
        ]
        for name, value in (("nonce", lambda: 1_000), ("apiKey", "no"), ("secret", "no")):
            kept = getattr(bybit, name)
            setattr(bybit, name, value)
            told.append(await outcome(bybit.fetch_balance()))
            setattr(bybit, name, kept)
        return told

    told = drive(exchange, work)
    codes = ("170141", "170131", "170213", "orderId is blank", "170193", "110093", "10002", "10003", "10004")

    assert [True] * len(codes) == [code in str(error) for code, error in zip(codes, told, strict=True)]
    assert [ccxt.InvalidOrder, ccxt.InsufficientFunds, ccxt.OrderNotFound] == [type(error) for error in told[:3]]
    assert {"a1"} == set(recorded(exchange))


def test_a_stop_is_amended_and_triggers_under_its_ids(exchange: Exchange) -> None:
    """It locks the coins, takes another trigger and amount in place, is not cancelled as a plain order, and sells as itself."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        await bought(bybit, "a1", 0.02)
        stop = await stopped(bybit, "s1", 0.01)
        locked = (await bybit.fetch_balance())["BTC"]["used"]
        plain = await outcome(bybit.cancel_order(stop["id"], PAIR))
        changed = await bybit.edit_order(
            "", PAIR, "market", "sell", 0.015, None, {"orderLinkId": "s1", "stopLossPrice": 59_500}
        )
        beyond = await outcome(
            bybit.edit_order(stop["id"], PAIR, "market", "sell", None, None, {"triggerPrice": 60_500})
        )
        (rests,) = await bybit.fetch_open_orders()
        exchange.control("price", symbol="BTCUSDT", price=59_400)
        return stop, locked, plain, changed, beyond, rests, await by_link(bybit, "s1")

    stop, locked, plain, changed, beyond, rests, sold = drive(exchange, work)

    assert (0.01, ccxt.OrderNotFound, ccxt.InvalidOrder) == (locked, type(plain), type(beyond))
    assert (stop["id"], "s1") == (changed["id"], changed["clientOrderId"])
    assert (0.015, 59_500.0, "open") == (rests["amount"], rests["triggerPrice"], rests["status"])
    assert (stop["id"], "closed", 0.015, 59_399.9) == (sold["id"], sold["status"], sold["filled"], sold["average"])


def test_lists_come_in_pages_of_seven_days(exchange: Exchange) -> None:
    """Executions: 100 at most and a cursor; open orders 20 where nothing is said; a longer time than a week is refused."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        exchange.control("pair", symbol="BTCUSDT", parts=110)
        await bought(bybit, "a1", 0.11)
        for number in range(23):
            if number == 19:
                await asyncio.sleep(1.05)
            await bybit.create_order(PAIR, "limit", "buy", 0.001, 58_000, {"clientOrderId": f"r{number}"})
        now = await bybit.fetch_time()
        pages = [await bybit.fetch_my_trades(PAIR, limit=500)]
        pages.append(await bybit.fetch_my_trades(PAIR, limit=500, params={"cursor": cursor_of(pages[0])}))
        few = await bybit.fetch_open_orders()
        every = await bybit.fetch_open_orders(limit=50)
        return (
            pages,
            few,
            every,
            await outcome(bybit.fetch_my_trades(PAIR, now - 8 * 86_400_000, params={"until": now})),
        )

    pages, few, every, refused = drive(exchange, work)

    assert ([100, 10], 110) == ([len(page) for page in pages], len({one["id"] for page in pages for one in page}))
    assert (20, 23) == (len(few), len(every))
    assert "10001" in str(refused)


def cursor_of(rows: Any) -> str:
    """The cursor that ccxt hangs on a list."""
    return next(str(row["info"]["nextPageCursor"]) for row in rows if "nextPageCursor" in row["info"])


def test_what_has_ended_is_in_the_history_for_longer(exchange: Exchange) -> None:
    """After a restart of Bybit's an order that has ended is no more among the newest, but in the history: it is found there."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        await bought(bybit, "a1")
        before = await by_link(bybit, "a1")
        exchange.control("restart")
        newest = await bybit.fetch_open_orders(PAIR, None, None, {"orderLinkId": "a1"})
        return before, newest, await by_link(bybit, "a1"), await by_link(bybit, "a9")

    before, newest, ended, never = drive(exchange, work)

    assert ("closed", [], before["id"], "closed") == (before["status"], newest, ended["id"], ended["status"])
    assert never is None


def test_what_is_filled_in_part_and_cancelled_says_so(exchange: Exchange) -> None:
    """Of a book that is too thin the rest is cancelled; what would take as post-only is accepted, and cancelled whole."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        exchange.control("pair", symbol="BTCUSDT", top="0.004")
        await bought(bybit, "a1")
        await bybit.create_order(PAIR, "limit", "buy", 0.01, 60_100, {"clientOrderId": "p1", "postOnly": True})
        return await by_link(bybit, "a1"), await by_link(bybit, "p1")

    part, post = drive(exchange, work)

    assert ("PartiallyFilledCanceled", 0.004, 0.01) == (part["info"]["orderStatus"], part["filled"], part["amount"])
    assert ("canceled", 0.0) == (post["status"], post["filled"])
    assert "EC_PostOnlyWillTakeLiquidity" == post["info"]["rejectReason"]


def test_an_account_that_asks_too_often_is_told_until_when(exchange: Exchange) -> None:
    """The twenty-first order of a second is refused with 10006 and the time of the reset; each answer has the count.

    Eighteen are others', and stay within that second however slow this machine is.
    """

    async def work(bybit: Any) -> tuple[Any, ...]:
        await bybit.is_unified_enabled()
        exchange.control("limits", visits=18)
        told = await asyncio.gather(*(outcome(bought(bybit, f"a{n}", 0.001)) for n in range(25)))
        return told, await outcome(bybit.fetch_balance()), dict(bybit.last_response_headers)

    told, _, headers = drive(exchange, work)
    refused = [one for one in told if isinstance(one, ccxt.RateLimitExceeded)]

    assert (2, 23) == (len(recorded(exchange)), len(refused))
    assert ("50", "49") == (headers["X-Bapi-Limit"], headers["X-Bapi-Limit-Status"])
    assert {"visits_10006": 23, "bans_403": 0} == {
        name: count for name, count in exchange.control("state")["bybit"]["breaches"].items() if name != "requests"
    }


@pytest.mark.parametrize("kind", ["lost", "cut", "broken_json", "done_unavailable_code"])
def test_an_answer_that_is_lost_leaves_its_order(exchange: Exchange, kind: str) -> None:
    """The faults are those of the other door: the order is done, its answer is not one, and its link id finds it."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        exchange.control("fault", kind=kind, endpoint="POST /v5/order/create", side="BUY", count=1)
        return await outcome(bought(bybit, "a1")), await by_link(bybit, "a1")

    answer, order = drive(exchange, work)

    assert isinstance(answer, ccxt.BaseError) or answer["id"] is None
    assert ("closed", ["a1"]) == (order["status"], list(recorded(exchange)))


def test_candles_say_when_they_are_closed(exchange: Exchange) -> None:
    """The stream has each candle as it grows, and once with `confirm`; tickers and the best prices come beside it."""

    async def work(bybit: Any) -> tuple[Any, ...]:
        heard: list[Any] = []
        handled = bybit.handle_message
        bybit.handle_message = lambda client, message: (heard.append(message), handled(client, message))
        tasks = [
            asyncio.ensure_future(work)
            for work in (bybit.watch_ohlcv(PAIR, "1s"), bybit.watch_bids_asks([PAIR]), bybit.watch_ticker(PAIR))
        ]
        await until(lambda: any(row["confirm"] for row in klines(heard)))
        await until(lambda: all(task.done() for task in tasks[1:]))
        tasks[0].cancel()
        return klines(heard), tasks[1].result()[PAIR], tasks[2].result()

    rows, best, ticker = drive(exchange, work)
    closed = [row for row in rows if row["confirm"]]

    assert (999, "60000") == (closed[0]["end"] - closed[0]["start"], closed[0]["close"])
    assert (59_999.9, 60_000.0, 60_000.0) == (best["bid"], best["ask"], ticker["last"])


def klines(heard: list[Any]) -> list[Any]:
    """The candles in frames."""
    return [row for one in heard if str(one.get("topic", "")).startswith("kline.") for row in one["data"]]
