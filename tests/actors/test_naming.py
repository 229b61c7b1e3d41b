"""Several accounts in one process: each one's actors find their own, go by their own clock, and end alone."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from actors.base import EngineActor
from actors.files import Files
from actors.history.store import META, migrations, open_store
from actors.journal import MemoryJournal
from actors.opening import open_journal
from actors.persistence import PersistenceActor
from actors.runtime import MarketClock, ThreadRuntime
from actors.sim import SimRuntime
from actors.supervisor import ChildSpec
from engine.messages import Entry, EpochAnnounced, Notify, Record, RecordRefused, TimerFired
from engine.naming import account_of, named, role_of
from engine.types import use_money_context
from tests.actors.history_entries import fill_journal
from tests.actors.probes import Do, Number, Seen, Worker, probe
from tests.actors.test_supervisor import Happened, World, child


def test_a_name_is_a_role_and_an_account() -> None:
    """What a name is made of is found in it again, with an account and without."""
    for role in ("gateway", "pair:BTC/USDT", "pair:BTC/USDT:USDT"):
        for account in ("", "kraken"):
            name = named(role, account)
            assert (role, account) == (role_of(name), account_of(name))
    assert "BTC/USDT" == named("BTC/USDT", "")


def test_who_is_told_is_the_accounts_own_or_else_shared() -> None:
    """A role means the sender's own account's actor, a full name that one, and what no account has the shared one."""
    sim, gateway, other, journal = SimRuntime(1), Seen(), Seen(), Seen()
    sim.spawn("persistence", probe(journal))
    sim.spawn("gateway@a", probe(gateway))
    sim.spawn("gateway@b", probe(other))
    sim.spawn("pair:X@a", lambda ctx: Worker(ctx, Seen()))

    def talk(actor: EngineActor) -> None:
        for n, to in enumerate(("gateway", "gateway@b", "persistence", "feed")):
            actor.tell(to, Number(sender=actor.name, n=n))

    sim.tell("pair:X@a", Do(job=talk))
    sim.settle()

    assert [0] == [number.n for number in gateway.of(Number)]
    assert [1] == [number.n for number in other.of(Number)]
    assert [2] == [number.n for number in journal.of(Number)]
    assert {"feed": 1} == dict(sim.stats().dead_letters_to)


def test_one_whose_own_is_down_does_not_reach_another() -> None:
    """While an account's actor is being restarted, what it is told is lost, and never goes to a shared one of that role."""
    sim, shared, own = SimRuntime(1), Seen(), Seen()
    sim.spawn("gateway", probe(shared))
    sim.spawn("gateway@a", probe(own))
    sim.spawn("pair:X@a", lambda ctx: Worker(ctx, Seen()))
    sim.settle()
    sim.kill("gateway@a")

    sim.tell("pair:X@a", Do(job=lambda actor: actor.tell("gateway", Number(sender=actor.name, n=1))))
    sim.settle()

    assert not shared.of(Number)
    assert 1 == sim.stats().dead_letters_to["gateway@a"]


def test_each_account_has_its_own_market_time() -> None:
    """An account's actors, and their market timers, go by its clock; everybody else by the runtime's."""
    runtime, told, seen, witness = ThreadRuntime(), {}, Seen(), Seen()
    runtime.add_clock("fast", MarketClock(1_000_000, time.time(), speed=10_000))

    def look(actor: EngineActor) -> None:
        told[actor.name] = actor.now()
        actor.start_timer("candle", 100_000, market=True)
        actor.tell("witness", Number(sender=actor.name, n=0))

    try:
        runtime.spawn("witness", probe(witness))
        for name in ("root", "feed@fast"):
            runtime.spawn(name, lambda ctx: Worker(ctx, seen))
            runtime.tell(name, Do(job=look))
        witness.wait(Number, 2)
        seen.wait(TimerFired)
    finally:
        runtime.close()

    assert abs(told["root"] - time.time() * 1_000) < 60_000
    assert 1_000_000 <= told["feed@fast"] < 1_000_000_000
    assert 1 == len(seen.of(TimerFired)), "the one that goes by the world's time has 99 seconds left"


def test_a_restart_is_announced_within_its_account() -> None:
    """A new actor of one account is announced there and to those whom all share; the other account hears nothing."""
    seen = {name: Seen() for name in ("gateway@a", "pair:X@a", "gateway@b", "pair:X@b", "control")}
    world = World(*(ChildSpec(name, child(heard), shared=True) for name, heard in seen.items()))

    world.kill("gateway@a")
    world.sim.run_for(60_000)

    told = {name: [m.what for m in heard.of(Happened) if " is " in m.what] for name, heard in seen.items()}
    assert ["gateway@a is 2"] == told["pair:X@a"] == told["control"]
    assert not told["gateway@b"]
    assert not told["pair:X@b"]


def test_an_account_ends_alone() -> None:
    """An actor of an account that cannot be kept alive is quarantined with an alarm: the process, and the others, go on."""
    world = World(
        ChildSpec("gateway@a", child(Seen(), doomed=True), shared=True), ChildSpec("gateway@b", child(Seen()))
    )

    world.sim.run_for(120_000)

    assert world.sim.exit_request is None
    assert world.sim.alive("gateway@b")
    assert ["gateway@a"] == world.status()["quarantined"]
    assert ["ActorQuarantined"] == [notice.event for notice in world.notified.of(Notify)]


def test_grants_are_each_accounts_own() -> None:
    """A new portfolio of one account voids its own old grants, and none of the other account's."""
    journal, sim, told = MemoryJournal(), SimRuntime(1), Seen()
    sim.spawn("persistence", lambda ctx: PersistenceActor(ctx, journal=journal))
    for name in ("pair:X@a", "pair:X@b"):
        sim.spawn(name, probe(told))
    sim.tell("persistence", EpochAnnounced(name="portfolio@a", epoch=2))
    entry = Entry(kind="K", ts=1, body={})
    for writer in ("pair:X@a", "pair:X@b"):
        sim.tell("persistence", Record(writer=writer, seq=1, entries=(entry,), grant_epoch=1))
    sim.settle()

    assert (0, 1) == (journal.last("pair:X@a"), journal.last("pair:X@b"))
    assert ["OLD_GRANT"] == [refused.code for refused in told.of(RecordRefused)]


# ---------------------------------------------------------------- in SQL


@pytest.fixture
def files(tmp_path: Path) -> Files:
    use_money_context()
    return Files.beside(tmp_path / "bot.duckdb")


def test_every_row_says_whose_it_is(files: Files) -> None:
    """Two accounts' equal trades stay apart in every table, by the column that names the account."""
    journal = open_journal(files, now=1).journal
    body = {"name": "gateway@b", "epoch": 2, "reason": "x", "trace": ""}
    for name in ("a", "b"):
        entries = (
            Entry(kind="TradeOpened", ts=1, body={"pair": "X/USDT", "trade_id": f"X/USDT@{name}#1-1", "amount": "2"}),
            Entry(kind="OrderAccepted", ts=1, body={"pair": "X/USDT", "client_order_id": name, "order_id": "1"}),
            Entry(kind="Equity", ts=1, body={"total": "5"}, stream="ops"),
            Entry(kind="PairLocked", ts=1, body={"pair": "X/USDT", "side": "*", "until": 5, "reason": "r"}),
            Entry(
                kind="CandlesJudged", ts=1, body={"ts": 1, "timeframe_ms": 1, "candles": [["X/USDT", 1, 1, 1, 1, 1]]}
            ),
        )
        journal.append([Record(writer=f"pair:X/USDT@{name}", seq=1, entries=entries)])
    told = Entry(kind="Notified", ts=1, body={"event": "e", "text": "t", "account": "b"}, stream="ops")
    balances = Entry(kind="BalancesChanged", ts=1, body={"account": "b", "balances": []}, stream="ops")
    journal.append([Record(writer="notifier", seq=1, entries=(told, balances))])
    journal.append([Record(writer="root", seq=1, entries=(Entry(kind="ActorRestarted", ts=1, body=body),))])
    journal.close()

    store = open_store(files)
    store.catch_up()

    def accounts(table: str) -> list[str]:
        return [row[0] for row in store.connection.execute(f"SELECT account FROM {table} ORDER BY 1").fetchall()]

    for table in ("trades", "orders", "decisions", "equity", "candles", "open_trades", "locks"):
        assert ["a", "b"] == accounts(table), table
    assert ["b"] == accounts("alerts") == accounts("restarts")
    assert ["a", "b", "b"] == accounts("events")
    store.close()


def test_a_history_of_one_account_is_upgraded(files: Files) -> None:
    """A file from before there were accounts keeps its rows, which belong to the account without a name."""
    journal = open_journal(files, now=1).journal
    with duckdb.connect(files.db) as connection:
        connection.execute(META)
        for step in migrations()[:6]:
            connection.execute(step.read_text())
        meta = {"applied_seq": "0", "applied_hash": "", "installation": journal.installation, "schema": "6"}
        connection.executemany("INSERT INTO tradepit_meta VALUES ($1, $2)", list(meta.items()))
        connection.execute("INSERT INTO trades (trade_id, pair, run, seq) VALUES ('old', 'A/USDT', 1, 1)")

    store = open_store(files)
    fill_journal(journal)
    journal.close()
    store.catch_up()

    assert "from schema 6 to" in store.findings[0]
    assert [("", 3)] == store.connection.execute("SELECT account, count(*) FROM trades GROUP BY 1").fetchall()
    assert [("",)] == store.connection.execute("SELECT DISTINCT account FROM profit_by_day").fetchall()
    store.close()
