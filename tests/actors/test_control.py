"""The control actor: requests and answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.sockets import call
from engine.messages import ForceEnter, ForceExit, LockPair, Notify, SetTradingState
from engine.types import Side
from tests.actors.control_bot import Account, Bot


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Bot]:
    """A bot whose control socket is open."""
    bot = Bot(tmp_path / "x.sock")
    bot.start()
    yield bot
    bot.runtime.close()


# ---------------------------------------------------------------- requests


def test_status_tells_all_there_is(bot: Bot) -> None:
    """The status has the state, the counts of pairs, the open trades, and the runtime's figures."""
    answer = bot.ask("status")

    assert "ACTIVE: 2 pairs, 1 open trades." == answer["detail"]
    assert {"OPEN": 1, "FLAT": 1} == answer["data"]["pairs"]
    assert ["BTC/USDT"] == [t["pair"] for t in answer["data"]["open_trades"]]
    assert "Mine" == answer["data"]["strategy"]
    assert 6 == answer["data"]["runtime"]["actors"]
    assert 0 == answer["data"]["runtime"]["restarts"]


def test_status_of_one_pair(bot: Bot) -> None:
    """One pair can be asked for in full; an unknown one is answered with the nearest known."""
    assert "OPEN" == bot.ask("status", pair="btc/usdt")["data"]["state"]

    wrong = bot.ask("status", pair="BTC/USDC")

    assert not wrong["ok"]
    assert "BTC/USDT" in wrong["detail"]


def test_pause_and_resume_turn_the_switch(bot: Bot) -> None:
    """Pause leaves exits only, resume trades again, and the answer says how it stands then."""
    paused, resumed = bot.ask("pause", reason="lunch"), bot.ask("resume")

    assert paused["ok"]
    assert "EXITS_ONLY" == paused["data"]["state"]
    assert "1 open trades are managed" in paused["detail"]
    assert "ACTIVE" == resumed["data"]["state"]
    told = bot.seen.of(SetTradingState)
    assert [("lunch", "user"), ("resumed by the user", "user")] == [(m.reason, m.source) for m in told]


def test_resume_says_when_another_limit_holds(tmp_path: Path) -> None:
    """The user's hand off the switch does not turn it while a risk limit holds it; the answer says so."""
    bot = Bot(tmp_path / "x.sock")
    bot.runtime.kill("portfolio")
    bot.stuck = "drawdown of 21 %"
    while "portfolio" in [a.name for a in bot.runtime.stats().actors]:
        bot.runtime.wait(0.01)
    bot.spawn("portfolio", lambda ctx: Account(ctx, bot.seen, bot.stuck))
    bot.start()
    answer = bot.ask("resume")
    bot.runtime.close()

    assert "Done, but the state stays EXITS_ONLY: drawdown of 21 %." == answer["detail"]


def test_enter_and_exit_reach_the_pair(bot: Bot) -> None:
    """An order by hand goes to its pair with its side and tag; the pair's words are the answer."""
    entered, left = bot.ask("enter", pair="ETH/USDT", side="short", tag="hunch"), bot.ask("exit", pair="BTC/USDT")
    refused = bot.ask("exit", pair="ETH/USDT")

    (message,) = bot.seen.of(ForceEnter)
    assert (Side.SHORT, "hunch") == (message.side, message.tag)
    assert (True, "ETH/USDT: entering") == (entered["ok"], entered["detail"])
    assert (True, "BTC/USDT: leaving") == (left["ok"], left["detail"])
    assert (False, "ETH/USDT: there is no open trade") == (refused["ok"], refused["detail"])


def test_exit_all_leaves_what_is_open(bot: Bot) -> None:
    """Only pairs that hold something are told to leave."""
    answer = bot.ask("exit", all=True)

    assert answer["ok"]
    assert ["BTC/USDT"] == [m.pair for m in bot.seen.of(ForceExit)]


def test_stop_asks_the_process_to_end(bot: Bot) -> None:
    """Stop is answered first, and then the main thread is asked for an orderly end."""
    answer = bot.ask("stop", reason="enough")
    wish = bot.runtime.wait(60)

    assert answer["ok"]
    assert wish is not None
    assert (0, "enough") == (wish.status, wish.reason)


def test_kill_is_a_drill_and_says_so(bot: Bot) -> None:
    """A killed actor is gone, and the notifier hears that it was a drill; unknown names get a hint."""
    wrong, right = bot.ask("kill", actor="portfoli"), bot.ask("kill", actor="pair:ETH/USDT")
    (notice,) = bot.seen.wait(Notify)

    assert "portfolio" in wrong["detail"]
    assert "drill" in right["detail"].lower()
    assert "drill" == notice.event


def test_lock_needs_a_pair_and_a_time(bot: Bot) -> None:
    """A lock by hand reaches the portfolio; nonsense is refused with what would do."""
    assert not bot.ask("lock", pair="BTC/USDT", minutes=-1)["ok"]
    assert not bot.ask("lock", pair="BTC/USDT", minutes=True)["ok"]
    assert bot.ask("lock", pair="*", minutes=5)["ok"]
    (lock,) = bot.seen.wait(LockPair)
    assert "*" == lock.pair


def test_a_silent_actor_is_named(bot: Bot) -> None:
    """Who does not answer in time is named, and the rest of the answer comes all the same."""
    bot.runtime.kill("portfolio")
    answer = bot.ask("status")

    assert answer["ok"]
    assert ["portfolio"] == answer["data"]["silent"]
    assert "No answer from portfolio" in answer["detail"]


@pytest.mark.parametrize("request_", [{}, {"request": "stats"}, {"request": 5}, {"request": ["status"]}])
def test_unknown_requests_are_refused(bot: Bot, request_: dict[str, Any]) -> None:
    """What is no request is refused in words, with what there is."""
    answer = call(bot.path, request_, 10)

    assert not answer["ok"]
    assert "status" in answer["detail"]
