"""A live bot on the local exchange's second door, Bybit's: its whole life, answers that are lost, and what others do there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from actors.venues.capabilities import capability
from actors.venues.live.paging import Function, answer_of, listing_of
from actors.venues.live.wire import Answer
from tests.bots import ask, at_once
from tests.exchange.client import Exchange
from tests.exchange.driving import drive, outcome
from tests.live.bots import STRATEGIES, LiveBot
from tests.live.ledger import D, differences
from tests.live.test_guarding import BOUGHT, CLOSED, QUICK, held, is_guarded, move, stops, working
from tests.showing.common import sql, wait_until

PAIR = "ETH/USDT"
PATIENCE_S = 150
"""So long a step may take on a machine that does much else; none waits for longer than it must."""
AMEND = "POST /v5/order/amend"
INTENDED = "SELECT count(*) FROM entries WHERE kind = 'AmendIntended'"
AMENDED = "SELECT count(*) FROM entries WHERE kind = 'OrderAmended'"
OUTCOMES = "SELECT count(*) FROM entries WHERE kind IN ('OrderAmended', 'AmendRejected')"
SILENT = "SELECT count(*) FROM entries WHERE kind = 'Notified' AND CAST(body AS TEXT) LIKE '%wants silence%'"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Bybit with prices that stand still until they are told to move."""
    with Exchange("--pairs", "2", "--still", "--funds", "USDT=1000", name="bybit") as server:
        yield server


def settled(exchange: Exchange, bot: LiveBot, *, by_hand: bool = False) -> None:
    """Orders, fills, fees and balances are the ledger's, no intent made two orders, and no limit was overdrawn.

    `by_hand`: what the user has sold is in the history too, since it has ended a trade of the bot's.
    """
    ids = Counter(order["client_id"] for order in exchange.control("ledger")["orders"])
    state = exchange.control("state")
    breaches = state["bybit"]["breaches"]

    assert {1} == set(ids.values())
    assert [] == differences(exchange, bot.files, by_hand=by_hand)
    assert [] == bot.audit()
    assert ([], 0, 0) == (state["failures"], breaches["visits_10006"], breaches["bans_403"])


def trigger(exchange: Exchange) -> Decimal:
    """At which price the bot's only stop sells."""
    (stop,) = working(exchange)
    return D(stop["stop_price"])


@pytest.mark.timeout(600)
def test_a_trade_from_signal_to_stop_out(exchange: Exchange, tmp_path: Path) -> None:
    """A limit entry fills, its stop stands for what is held, follows a partial exit and the price, and sells the rest."""
    overrides = {"trailing_stop": True, "order_types": {**QUICK, "entry": "limit"}}
    parts = {"name": str(STRATEGIES / "parts.py")}
    parameters = {"every": 3}
    bot = LiveBot(
        tmp_path, exchange, [PAIR], strategy=parts, strategy_overrides=overrides, strategy_parameters=parameters
    )
    with bot:
        bot.wait_for("entries", BOUGHT, 1, PATIENCE_S)
        move(exchange, PAIR, 0.985)
        wait_until("a stop for what is held", lambda: bool(held(exchange)) and is_guarded(exchange), PATIENCE_S)
        whole = held(exchange)
        move(exchange, PAIR, 1.03)
        wait_until("half of it sold", lambda: 0 < held(exchange) < whole * Decimal("0.7"), PATIENCE_S)
        wait_until("a stop for the rest", lambda: is_guarded(exchange), PATIENCE_S)
        (before,) = working(exchange)
        move(exchange, PAIR, 1.01)
        higher = D(before["stop_price"])
        wait_until("a higher stop alone", lambda: is_guarded(exchange) and trigger(exchange) > higher, PATIENCE_S)
        (after,) = working(exchange)
        move(exchange, PAIR, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, PATIENCE_S)
    (row,) = sql(bot.files, "SELECT exit_reason FROM closed_trades")

    assert (row["exit_reason"], working(exchange)) == ("stoploss_on_exchange", [])
    assert (before["id"], before["client_id"]) == (after["id"], after["client_id"])
    settled(exchange, bot)


@pytest.mark.timeout(600)
def test_a_kill_a_hand_and_lost_answers(exchange: Exchange, tmp_path: Path) -> None:
    """The bot is killed over a position, its sockets are cut, and the user sells: the trade ends as his.

    Of the next trade the answers to entry, stop and exit are lost and no event comes: each order is found by its id.
    """
    bot = LiveBot(tmp_path, exchange, [PAIR], strategy_parameters={"every": 10, "hold": -1})
    with bot:
        wait_until("a position and its stop", lambda: is_guarded(exchange), PATIENCE_S)
        exchange.control("kick", market="bybit")
        bot.kill()
        sell_by_hand(exchange)
        for wish in ({"side": "BUY"}, {"type": "STOP_LOSS"}, {"side": "SELL", "type": "MARKET"}):
            exchange.control("fault", kind="lost", endpoint="POST /v5/order/create", count=1, **wish)
        exchange.control("fault", kind="drop", stream="user:*")
        bot.start()
        bot.wait_for("closed trades", CLOSED, 1, PATIENCE_S)
        wait_until("the next position and its stop", lambda: is_guarded(exchange), PATIENCE_S)
        wait_until("an order to sell it", lambda: is_told_to_sell(bot), PATIENCE_S)
        bot.wait_for("closed trades", CLOSED, 2, PATIENCE_S)
        lost = [fault["hits"] for fault in exchange.control("faults") if fault["kind"] == "lost"]
    rows = sql(bot.files, "SELECT exit_reason FROM closed_trades ORDER BY close_time")

    assert [1, 1, 1] == lost
    assert ["manual", "force_exit"] == [row["exit_reason"] for row in rows]
    settled(exchange, bot, by_hand=True)


@pytest.mark.parametrize("moment", ["applied", "not_applied", "not_sent"])
@pytest.mark.timeout(600)
def test_killed_while_a_stop_is_changed(exchange: Exchange, tmp_path: Path, moment: str) -> None:
    """Killed with the change on disk, and done there, lost on its way or not sent: the stop stands once and goes on following.

    The exchange says when it has the request and keeps its answer back; it tells nothing of the stop until the kill.
    """
    overrides = {"trailing_stop": True, "order_types": QUICK}
    parameters = {"every": 10, "hold": -1}
    bot = LiveBot(tmp_path, exchange, [PAIR], strategy_overrides=overrides, strategy_parameters=parameters)
    with bot:
        wait_until("a position and its stop", lambda: is_guarded(exchange), PATIENCE_S)
        bot.wait_for("accepted orders", BOUGHT, 2, PATIENCE_S)
        (placed,) = working(exchange)
        hold_back(exchange, bot, moment)
        move(exchange, PAIR, 1.01)
        bot.wait_for("a change on disk", INTENDED, 1, PATIENCE_S)
        if moment != "not_sent":
            wait_until("its request", lambda: reached(exchange) == 1, PATIENCE_S)
        bot.kill()
        asked, heard = count(bot, INTENDED), count(bot, OUTCOMES)
        (at_kill,) = working(exchange)
        sent = sum("amend" in path for _, path, _ in exchange.control("requests")["bybit"])
        exchange.control("clear")
        bot.start()
        bot.wait_for("what became of it", OUTCOMES, 1, PATIENCE_S)
        wanted = wanted_trigger(bot)
        wait_until("the stop where it was to be", lambda: trigger(exchange) == wanted, PATIENCE_S)
        move(exchange, PAIR, 1.02)
        wait_until("the stop that follows", lambda: trigger(exchange) > wanted, PATIENCE_S)
        bot.wait_for("amendments that are done", AMENDED, 2, PATIENCE_S)
        (followed,) = stops(exchange)
        move(exchange, PAIR, 0.9)
        bot.wait_for("closed trades", CLOSED, 1, PATIENCE_S)
    first = sql(bot.files, "SELECT outcome, reason FROM amendments ORDER BY intended_at")[0]
    (gaps,) = sql(bot.files, "SELECT max(longest_replaced_ms) AS longest FROM unguarded")

    assert (1, 0) == (asked, heard)
    assert (moment == "applied") == (D(at_kill["stop_price"]) == wanted)
    assert (0 if moment == "not_sent" else 1) == sent
    assert ("amended" if moment == "applied" else "rejected") == first["outcome"]
    assert (placed["id"], placed["client_id"]) == (followed["id"], followed["client_id"])
    assert 0 == gaps["longest"]
    settled(exchange, bot)


def is_told_to_sell(bot: LiveBot) -> bool:
    """Whether the bot has taken the user's word to sell; one whose answer came too late may be done."""
    return at_once("exit", PAIR, "--db", bot.files.db).returncode == 0 or count(bot, CLOSED) >= 2


def hold_back(exchange: Exchange, bot: LiveBot, moment: str) -> None:
    """Let the next change of a stop stop short at `moment`, and what it is to be found out by."""
    if moment == "not_sent":
        exchange.control("fault", kind="too_many", endpoint="GET /v5/order/*", count=1, retry_after=3600)
        exchange.control("kick", market="bybit")  # what was missed is read
        bot.wait_for("a silence", SILENT, 1, PATIENCE_S)
        return
    kind = {"applied": "hang", "not_applied": "hang_before"}[moment]
    exchange.control("fault", kind=kind, endpoint=AMEND, count=1, seconds=3600)
    exchange.control("fault", kind="unavailable", endpoint="GET /v5/order/*")
    exchange.control("fault", kind="drop", stream="user:*")


def reached(exchange: Exchange) -> int:
    """How many changes of a stop the exchange has and does not answer."""
    return sum(fault["hits"] for fault in exchange.control("faults") if fault["endpoint"] == AMEND)


def count(bot: LiveBot, query: str) -> int:
    """A count in the journal."""
    ((found,),) = ask(bot.files.journal, query, default=((-1,),))
    return int(found)


def wanted_trigger(bot: LiveBot) -> Decimal:
    """Which trigger the bot wanted first."""
    query = "SELECT body FROM entries WHERE kind = 'AmendIntended' ORDER BY seq LIMIT 1"
    ((body,),) = ask(bot.files.journal, query, default=())
    return D(json.loads(body)["trigger_price"])


def test_open_orders_are_listed_whole(exchange: Exchange) -> None:
    """Bybit gives twenty unless more are asked for, and fifty at most: all of an account's are read, page by page."""
    for number in range(60):
        params = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002"}
        exchange.control("order", params={**params, "price": str(2900 + number)})
    call = capability("bybit").open_orders(None)

    async def send(function: Function) -> Answer:
        return Answer(value=await function())

    async def work(bybit: Any) -> Any:
        return (await answer_of(send, listing_of(bybit, call))).value

    listed = drive(exchange, work)
    refused = drive_refused(exchange, work)

    assert (60, 60) == (len(listed), len({order["id"] for order in listed}))
    assert isinstance(refused, ccxt.NetworkError)


def drive_refused(exchange: Exchange, work: Any) -> Any:
    """What becomes of it when the second page is not to be had."""
    exchange.control("fault", kind="unavailable", endpoint="GET /v5/order/realtime", skip=1)
    return drive(exchange, lambda bybit: outcome(work(bybit)))


def sell_by_hand(exchange: Exchange) -> None:
    """The user ends the bot's stop on the exchange's site and sells the coins of its last entry."""
    (stop,) = working(exchange)
    exchange.control("cancel", id=stop["id"], by="user")
    bought = [trade for trade in exchange.control("ledger")["trades"] if trade["side"] == "BUY"][-1]
    coins = (Decimal(bought["qty"]) - Decimal(bought["fee"])).quantize(Decimal("0.0001"), ROUND_DOWN)
    params: dict[str, Any] = {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": str(coins)}
    exchange.control("order", params=params)
