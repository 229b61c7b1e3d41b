"""The account as strategies are shown it, and the locks they want: over the socket, through the actors, over crashes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.judging.accounts import Seen, Shown
from engine import messages as m
from engine.keeping import trade_from_plain, trade_to_plain
from engine.types import Side, use_money_context
from engine.work import Trade
from tests.actors.test_recovering import NAME, PAIR, Stage
from tests.actors.ticks import D

MINUTE = 60_000


def view(trade_id: str, amount: float) -> dict[str, Any]:
    """A trade's view, as far as the way of it is concerned."""
    return {"trade_id": trade_id, "amount": amount, "custom_data": {"a": [1, "x"]}}


steps = st.lists(
    st.tuples(st.sampled_from(["open", "change", "close", "forget", "restart"]), st.integers(0, 3)), max_size=25
)


@given(steps)
def test_a_worker_knows_the_account_it_was_shown(taken: list[tuple[str, int]]) -> None:
    """Whatever opens, changes, closes or is forgotten between two frames, a worker has the whole account after each."""
    shown, seen = Shown(), Seen()
    trades: dict[str, Any] = {}
    closed: tuple[Any, ...] = ()
    count = 0
    for number, (what, which) in enumerate(taken):
        trade_id = f"t{which}"
        if what == "open" or (what == "change" and trade_id in trades):
            trades[trade_id] = view(trade_id, float(number))
        elif what == "close" and trade_id in trades:
            closed, count = (*closed, {**trades.pop(trade_id), "is_open": False}), count + 1
        elif what == "forget":
            closed = closed[which:]
        elif what == "restart":
            shown, seen = Shown(), Seen()
        account = {
            "figures": {"free": float(number)},
            "locks": [["A/B", "*", number, "x"]],
            "open": tuple(trades.values()),
            "closed": closed,
            "closed_count": count,
        }

        assert account == seen.take(shown.frame(account)[5:])


def lock(request_id: str, reason: str = "own") -> m.LockPair:
    """A strategy's lock of ten minutes."""
    return m.LockPair(pair=PAIR, side="*", until=10 * MINUTE, reason=reason, request_id=request_id, reply_to=NAME)


def test_a_lock_is_acknowledged_when_it_is_on_disk() -> None:
    """The portfolio records a strategy's lock, says so to the pair, and makes none of a repetition."""
    stage = Stage()
    stage.cast("persistence", "portfolio")
    stage.tell("portfolio", lock("a"))
    stage.tell("portfolio", lock("a"))
    stage.tell("portfolio", m.UnlockPair(reason="own", request_id="b", reply_to=NAME))
    kinds = [entry.kind for _, entry in stage.disk.entries if entry.kind.startswith("Pair")]

    assert ["PairLocked", "PairUnlocked"] == kinds
    assert ["a", "a", "b"] == [heard.request_id for heard in stage.seen[NAME].of(m.WishHeard)]
    assert [] == stage.actors["portfolio"].account.locks


def test_a_pair_repeats_its_lock_until_it_is_heard() -> None:
    """What a strategy wants locked is told again to a portfolio that is new, and no more once it has answered."""
    stage = Stage()
    stage.cast("persistence", NAME)
    stage.enter()
    answered = m.StrategyAnswered(request_id="late", pair=PAIR, wishes=(lock(""),))
    stage.tell(NAME, answered)
    (first,) = stage.seen["portfolio"].of(m.LockPair)
    stage.tell(NAME, m.EpochAnnounced(name="portfolio", epoch=2))
    stage.tell(NAME, m.WishHeard(request_id=first.request_id))
    stage.tell(NAME, m.EpochAnnounced(name="portfolio", epoch=3))

    assert first.request_id
    assert NAME == first.reply_to
    assert [first, first] == stage.seen["portfolio"].of(m.LockPair)


def test_custom_data_is_on_disk_and_survives() -> None:
    """What a strategy keeps with its trade is an entry of the journal and in the state a new incarnation begins from."""
    use_money_context()
    stage = Stage()
    stage.cast("persistence", NAME)
    stage.enter()
    trade_id = stage.actors[NAME].trade.trade_id
    data = {"level": 2, "notes": ["a", {"b": 1.5}]}
    for _ in range(2):
        stage.tell(NAME, m.StrategyAnswered(request_id="late", pair=PAIR, trade_id=trade_id, custom_data=data))
    kept = stage.actors[NAME].trade
    again = trade_from_plain(PAIR, kept.rules, trade_to_plain(kept))
    told = [entry.body for _, entry in stage.disk.entries if entry.kind == "CustomDataSet"]

    assert data == again.custom_data
    assert [data] == [body["data"] for body in told]
    assert data == stage.disk.states[NAME][1]["custom_data"]


def test_custom_data_of_another_trade_is_not_taken() -> None:
    """An answer that comes when the next trade is open does not write into that."""
    stage = Stage()
    stage.cast("persistence", NAME)
    stage.enter()
    stage.tell(NAME, m.StrategyAnswered(request_id="late", pair=PAIR, trade_id="another", custom_data={"a": 1}))

    assert {} == stage.actors[NAME].trade.custom_data


def test_a_question_goes_by_way_of_the_portfolio() -> None:
    """The portfolio adds what the account is and passes the question on; before the census its default is to serve."""
    stage = Stage()
    stage.cast("persistence", "portfolio")
    ask = m.AskStrategy(request_id="q", pair=PAIR, callback="custom_exit", arguments={}, reply_to=NAME, judge="judge:0")
    stage.tell("portfolio", ask)
    refused = stage.seen[NAME].of(m.StrategyAnswered)
    exposure = m.ExposureChanged(
        pair=PAIR, trade_id="t", stake=D(150), amount=D(1), open_rate=D(100), waiting=D(50), side=Side.LONG
    )
    stage.tell("portfolio", exposure)
    stage.tell("portfolio", ask)
    (passed,) = stage.seen["judge:0"].of(m.AskStrategy)
    figures = (passed.account or {})["figures"]

    assert [True] == [answer.excused for answer in refused]
    assert (850.0, 150.0, 50.0, {"BTC": 1.0}) == tuple(figures[n] for n in ("free", "tied", "waiting", "coins"))


def test_the_census_brings_back_how_trades_look() -> None:
    """A pair answers a new portfolio with its trade's view, where its strategy looks at all trades."""
    stage = Stage()
    stage.cast("persistence", NAME)
    stage.enter()
    trade: Trade = stage.actors[NAME].trade
    trade.shown = {"trade_id": trade.trade_id}
    stage.tell(NAME, m.TakeCensus(epoch=2))
    answers = stage.seen["portfolio"]

    assert [{"trade_id": trade.trade_id}] == [
        answer.view for answer in answers.of(m.CensusAnswered) if answer.epoch == 2
    ]
