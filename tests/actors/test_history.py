"""The history: in step with the journal, exactly once, and made again when its file is not what it should be."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from actors.files import Files
from actors.history.process import HistoryProcess, history_end
from actors.history.sql import run_query
from actors.history.store import HistoryNewer, Store, migrations, open_store, view_files
from actors.journal import FileJournal
from actors.opening import open_journal
from engine.errors import StorageError
from engine.settings import HistoryConfig
from engine.types import use_money_context
from tests.actors.history_entries import Bot, fill_journal

PAGES_BEGIN = 12_288
PAGE = 262_144
"""DuckDB's pages, after its three headers."""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    use_money_context()
    return Files.beside(tmp_path / "bot.duckdb")


@pytest.fixture
def journal(files: Files) -> Iterator[FileJournal]:
    journal = open_journal(files, now=1).journal
    yield journal
    journal.close()


def ask(store: Store, query: str) -> list[tuple[Any, ...]]:
    return store.connection.execute(query).fetchall()


def caught_up(files: Files) -> Store:
    store = open_store(files)
    store.catch_up()
    return store


@pytest.mark.parametrize("batches", [1, 2])
def test_a_stop_that_had_filled_before_it_was_known_to_be_smaller_is_filled(
    files: Files, journal: FileJournal, batches: int
) -> None:
    """Its amendment was in doubt as it filled: it ended with its last fill, and what is held after that has no stop, however late the history heard of it."""
    bot, store = Bot(journal), open_store(files)
    bot.start()
    ids = {"pair": "A/USDT", "trade_id": "t1", "client_order_id": "s1"}
    opening = {"side": "long", "leverage": "1", "enter_tag": "", "open_rate": "100", "amount": "10", "stake": "1000"}
    bot.say("TradeOpened", pair="A/USDT", trade_id="t1", stop="90", **opening)
    filled = {"fee": "0", "fee_currency": "USDT", "maker": False}
    entry = {**ids, "client_order_id": "e1", "order_id": "ve", "fill_id": "fe"}
    bot.say("OrderFilled", **entry, price="100", amount="10", **filled)
    kind = {"type": "stop", "time_in_force": "GTC", "reduce_only": True, "purpose": "stop", "side": "sell"}
    bot.say("OrderIntended", **ids, **kind, trigger_price="90", amount="10", price="90", leverage="1", tag="t")
    bot.say("OrderAccepted", **ids, order_id="v1")
    bot.say("AmendIntended", **ids, amount="6", trigger_price="92")
    bot.say("AmendInDoubt", **ids, reason="no answer")
    bot.say("OrderFilled", **ids, order_id="v1", fill_id="f1", price="92", amount="6", **filled)
    at = bot.ts
    if batches > 1:
        store.catch_up()
    bot.say("OrderAmended", **ids, amount="6", trigger_price="92")
    store.catch_up()

    query = "SELECT status, epoch_ms(ended_at) FROM orders WHERE client_order_id = 's1'"
    assert ask(store, query) == [("FILLED", at)]
    assert ask(store, "SELECT epoch_ms(since), until FROM stop_gaps WHERE why = 'last'") == [(at, None)]
    store.close()


def test_every_kind_of_entry_has_its_row(files: Files, journal: FileJournal) -> None:
    """A bot's life can be asked for in SQL: trades, orders, fills, decisions and operations."""
    fill_journal(journal)
    store = caught_up(files)

    assert ask(store, "SELECT trade_id, exit_reason, profit_abs, stop FROM trades ORDER BY trade_id") == [
        ("t1", "roi", Decimal("19.58"), Decimal("95.5")),
        ("t2", None, None, Decimal("95.5")),
    ]
    assert ask(store, "SELECT client_order_id, status, filled, cost, order_id FROM orders ORDER BY seq") == [
        ("in1", "FILLED", Decimal(2), Decimal(200), "v-in1"),
        ("out1", "FILLED", Decimal(2), Decimal(220), "v-out1"),
        ("in2", "FILLED", Decimal(2), Decimal(200), "v-in2"),
    ]
    assert ask(store, "SELECT count(*), sum(fee) FROM fills") == [(6, Decimal("0.62"))]
    assert ask(store, "SELECT code, detail FROM why_not") == [("NO_FREE_SLOT", "because of NO_FREE_SLOT")]
    assert ask(store, "SELECT name FROM restarts ORDER BY seq") == [("gateway",), ("worker of judge:0",)]
    assert ask(store, "SELECT run, strategy, status FROM runs") == [(1, "ema_cross", "in order")]
    assert ask(store, "SELECT kind FROM events") == [("PairLocked",)]
    for table in ("equity", "requests", "rounds", "judgements"):
        assert ask(store, f"SELECT count(*) FROM {table}") == [(1,)], table
    store.close()


@pytest.mark.parametrize("view", view_files(), ids=lambda path: path.stem)
def test_every_view_is_documented_and_its_example_runs(files: Files, journal: FileJournal, view: Path) -> None:
    """Each view says what it shows, and the example in its comment gives an answer."""
    fill_journal(journal)
    store = caught_up(files)
    lines = view.read_text().splitlines()

    assert lines[0].startswith("-- ")
    assert lines[1].startswith("-- Example: ")
    ask(store, lines[1].removeprefix("-- Example: "))
    store.close()


def test_a_fill_after_the_end_is_counted(files: Files, journal: FileJournal) -> None:
    """A late fill changes what was filled, and does not make a canceled order work again."""
    bot = Bot(journal)
    ids = {"pair": "A/USDT", "trade_id": "t1", "client_order_id": "x"}
    bot.say("OrderIntended", **ids, purpose="entry", side="buy", type="limit", amount="5", price="10")
    bot.say("OrderCanceled", **ids, filled="0", expired=False, reason="time-out")
    store = caught_up(files)
    bot.say("OrderFilled", **ids, order_id="v", fill_id="f1", price="10", amount="1", fee="0", fee_currency="")
    store.catch_up()

    assert ask(store, "SELECT status, filled FROM orders") == [("CANCELED", Decimal(1))]
    store.close()


def test_an_entry_that_is_not_understood_costs_itself_only(files: Files, journal: FileJournal) -> None:
    """A malformed entry is kept as it is, with an alert, and everything around it is written."""
    bot = Bot(journal)
    bot.trade(1)
    bot.say("OrderFilled", pair="A/USDT", client_order_id="in1", fill_id="f", price="many", amount="1")
    bot.say("TradeOpened", pair="A/USDT")
    bot.trade(2)
    store = caught_up(files)

    assert ask(store, "SELECT count(*) FROM trades") == [(2,)]
    assert ask(store, "SELECT kind FROM events ORDER BY seq") == [("OrderFilled",), ("TradeOpened",)]
    assert ask(store, "SELECT count(*) FROM alerts WHERE kind = 'EntryNotUnderstood'") == [(2,)]
    store.close()


def test_it_follows_over_segments(files: Files, journal: FileJournal) -> None:
    """A rotation of the journal leaves no gap and no repetition, before, at and after it."""
    bot = Bot(journal)
    store = open_store(files)
    for n in range(1, 7):
        bot.trade(n)
        if n % 2:
            journal.rotate()
        if n != 3:
            store.catch_up()

    assert ask(store, "SELECT count(*) FROM trades") == [(6,)]
    assert ask(store, "SELECT count(*), count(DISTINCT seq) FROM fills") == [(24, 24)]
    assert store.writer.applied == journal.seq
    store.close()


# ---------------------------------------------------------------- files that are not what they should be


def rebuilt(files: Files, words: str) -> None:
    """The history is whole again, and it was said why."""
    store = caught_up(files)
    assert any(words in finding for finding in store.findings), store.findings
    assert ask(store, "SELECT count(*) FROM trades") == [(2,)]
    assert store.writer.applied == store.follower.read(0, 100)[-1][0]
    store.close()


def lived(files: Files) -> None:
    """A bot ran twice on these files, and its history was in step."""
    for _ in range(2):
        journal = open_journal(files, now=1).journal
        if journal.run == 1:
            fill_journal(journal)
        else:
            Bot(journal).start()
        journal.close()
    caught_up(files).close()


def test_a_deleted_history_is_made_again(files: Files) -> None:
    """Without its file the history is made again from the journal, and it is said."""
    lived(files)
    files.db.unlink()

    rebuilt(files, "made again from the journal")


def garbage(files: Files) -> None:
    files.db.write_bytes(b"this is no database" * 1_000)


def cut(files: Files) -> None:
    os.truncate(files.db, files.db.stat().st_size // 3)


def zeroed(files: Files) -> None:
    size = files.db.stat().st_size
    with files.db.open("r+b") as stream:
        stream.seek(4_096)
        stream.write(bytes(size - 4_096))


@pytest.mark.parametrize("damage", [garbage, cut, zeroed])
def test_a_damaged_history_is_kept_and_made_again(files: Files, damage: Callable[[Files], None]) -> None:
    """A file that DuckDB cannot read is kept under another name, and made again."""
    lived(files)
    damage(files)

    rebuilt(files, "was set aside as bot.duckdb.damaged-1")
    assert files.db.with_name("bot.duckdb.damaged-1").exists()


def test_whichever_page_is_damaged_the_answers_are_right(files: Files) -> None:
    """A file that DuckDB opens and cannot read on is set aside as well, and asked anew: no page's damage reaches the user."""
    lived(files)
    tables = ("trades", "orders", "fills", "runs", "equity", "decisions")
    query = " UNION ALL ".join(f"SELECT '{name}', count(*), sum(hash(t)) FROM {name} t" for name in tables)
    wanted = run_query(files.db, query)
    whole = files.db.read_bytes()
    opened = found_late = 0
    for start in range(PAGES_BEGIN, len(whole), PAGE):
        page = whole[start : start + 4_096]
        files.db.write_bytes(whole[:start] + bytes(byte ^ 0xA5 for byte in page) + whole[start + 4_096 :])
        try:
            with closing(duckdb.connect(files.db, read_only=True)) as plain:
                opened += 1
                plain.execute(query)
        except duckdb.Error:
            assert run_query(files.db, query) == wanted
            found_late += opened
            if found_late == 2:
                break
        opened = 0
    assert found_late  # else this says nothing of what is found after opening


def test_another_journals_history_is_kept_and_made_again(files: Files, tmp_path: Path) -> None:
    """A history that does not follow from this journal is not added to."""
    lived(files)
    other = Files.beside(tmp_path / "other.duckdb")
    lived(other)
    shutil.copy(other.db, files.db)

    rebuilt(files, "another installation's")


def test_a_newer_schema_is_refused(files: Files) -> None:
    """A file of a newer version is refused with a sentence and left as it is."""
    lived(files)
    with duckdb.connect(files.db) as connection:
        connection.execute("UPDATE tradepit_meta SET value = '99' WHERE key = 'schema'")

    with pytest.raises(HistoryNewer, match="newer version of Tradepit"):
        open_store(files)

    with duckdb.connect(files.db) as connection:
        assert connection.execute("SELECT count(*) FROM trades").fetchall() == [(2,)]


def test_an_older_schema_is_upgraded_after_a_copy(files: Files, tmp_path: Path) -> None:
    """A file of an older version is copied, then brought up to date by the numbered files it lacks."""
    lived(files)
    newer = tmp_path / "schema"
    newer.mkdir()
    for step in migrations():
        shutil.copy(step, newer)
    (newer / f"{len(migrations()) + 1:04d}_notes.sql").write_text("ALTER TABLE trades ADD COLUMN note VARCHAR;")

    store = open_store(files, schema=newer)

    before = len(migrations())
    assert any(f"upgraded from schema {before} to {before + 1}" in finding for finding in store.findings)
    assert ask(store, "SELECT count(*), count(note) FROM trades") == [(2, 0)]
    store.close()
    assert files.db.with_name(f"bot.duckdb.schema-{before}-1").exists()


def test_a_strangers_database_is_left_alone(files: Files) -> None:
    """A DuckDB file with other tables is somebody's, and refused."""
    with duckdb.connect(files.db) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")

    with pytest.raises(StorageError, match="is not Tradepit's"):
        open_store(files)


# ---------------------------------------------------------------- the process


class Keeper:
    """A history process that is polled until something holds."""

    def __init__(self, files: Files, **settings: Any) -> None:
        self.process = HistoryProcess(files, HistoryConfig(**{"door": False, **settings}))
        self.news: list[str] = []

    def until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Poll until `holds`; fails after `limit_s`."""
        deadline = time.monotonic() + limit_s
        while True:
            self.news += self.process.poll(time.monotonic())
            if holds():
                return
            assert time.monotonic() < deadline, self.news
            time.sleep(0.01)


@pytest.fixture
def keeper(files: Files) -> Iterator[Keeper]:
    keeper = Keeper(files)
    yield keeper
    keeper.process.close()


def test_the_process_follows_what_is_recorded(journal: FileJournal, keeper: Keeper) -> None:
    """What is recorded while it runs comes into the history by itself, without a word to it."""
    bot = Bot(journal)
    bot.start()
    keeper.until(lambda: keeper.process.applied == journal.seq)
    before = journal.seq
    bot.trade(1)
    keeper.until(lambda: keeper.process.applied == journal.seq)

    assert keeper.process.applied > before


def _went_on(keeper: Keeper, start: int) -> bool:
    return keeper.process.applied > start


def _replaced(keeper: Keeper, pid: int) -> bool:
    return keeper.process.pid != pid


def test_kill_9_costs_nothing(files: Files, journal: FileJournal, keeper: Keeper) -> None:
    """Killed in the midst of writing, again and again, it has every entry exactly once in the end."""
    bot = Bot(journal)
    n = 0
    for _ in range(3):
        keeper.until(lambda: keeper.process.pid is not None)
        start = keeper.process.applied
        for _ in range(20):
            n += 1
            bot.trade(n)
        keeper.until(partial(_went_on, keeper, start))
        pid = keeper.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        keeper.until(partial(_replaced, keeper, pid))
    keeper.until(lambda: keeper.process.applied == journal.seq)
    keeper.process.begin_stop(journal.seq)
    keeper.until(lambda: keeper.process.stopped)

    assert sum("SIGKILL" in text for text in keeper.news) == 3
    assert run_query(files.db, "SELECT count(*) FROM trades")[1] == [(n,)]
    assert run_query(files.db, "SELECT count(*), count(DISTINCT fill_id) FROM fills")[1] == [(4 * n, 4 * n)]


def test_it_catches_up_before_it_stops(files: Files, journal: FileJournal, keeper: Keeper) -> None:
    """Asked to stop, it writes what is in the journal first, and ends with status 0."""
    keeper.until(lambda: keeper.process.pid is not None)
    fill_journal(journal)
    keeper.process.begin_stop(journal.seq)
    keeper.until(lambda: keeper.process.stopped)

    assert history_end(files) == journal.seq
    assert keeper.news == []


def test_it_waits_for_the_last_entry_before_it_stops(files: Files, journal: FileJournal, keeper: Keeper) -> None:
    """What it is told to have in the end may be out of its sight at first, as while a segment is closed."""
    bot = Bot(journal)
    bot.start()
    keeper.until(lambda: keeper.process.applied == journal.seq)

    keeper.process.begin_stop(journal.seq + 1)
    bot.say("PairLocked", pair="A/USDT", side="*", until=0, reason="at the last moment")
    keeper.until(lambda: keeper.process.stopped)

    assert history_end(files) == journal.seq


def test_it_does_not_wait_for_ever(files: Files, journal: FileJournal, keeper: Keeper) -> None:
    """An entry that never comes, since the journal is damaged, keeps nobody from ending."""
    fill_journal(journal)
    keeper.until(lambda: keeper.process.pid is not None)

    keeper.process.begin_stop(journal.seq + 1_000)
    keeper.until(lambda: keeper.process.stopped)

    assert history_end(files) == journal.seq


def test_a_page_that_the_writing_finds_damaged_is_no_end(files: Files, journal: FileJournal, tmp_path: Path) -> None:
    """The process that cannot write on sets the file aside, and the next one makes it again and goes on."""
    fill_journal(journal)
    caught_up(files).close()
    whole = files.db.read_bytes()
    Bot(journal).start()
    for start in reversed(range(PAGES_BEGIN, len(whole), PAGE)):
        page = whole[start : start + 4_096]
        files.db.write_bytes(whole[:start] + bytes(byte ^ 0xA5 for byte in page) + whole[start + 4_096 :])
        damaged = files.db.read_bytes()
        store = open_store(files)
        try:
            if not store.findings:
                store.catch_up()
        except duckdb.Error:
            break
        finally:
            store.close()
        for path in tmp_path.glob("*.damaged-*"):
            path.unlink()
    else:
        raise AssertionError("no page's damage is found by writing")
    files.db.with_name(f"{files.db.name}.wal").unlink(missing_ok=True)
    files.db.write_bytes(damaged)
    keeper = Keeper(files)
    try:
        keeper.until(lambda: keeper.process.applied == journal.seq)
    finally:
        keeper.process.close()
    assert files.db.with_name("bot.duckdb.damaged-1").exists()
    assert any("set aside" in said for said in keeper.news)


def test_it_does_not_outlive_its_parent(journal: FileJournal, keeper: Keeper) -> None:
    """When the bot is gone, its end of the pipe is too, and the history process ends and frees the file."""
    fill_journal(journal)
    keeper.until(lambda: keeper.process.applied == journal.seq)
    process = keeper.process._process
    assert process is not None
    assert process.stdin is not None

    process.stdin.close()

    assert process.wait(60) == 0


def test_a_refused_file_is_said_once(files: Files, journal: FileJournal, keeper: Keeper) -> None:
    """A file of a newer version ends the process with a sentence, and it is not tried again."""
    fill_journal(journal)
    caught_up(files).close()
    with duckdb.connect(files.db) as connection:
        connection.execute("UPDATE tradepit_meta SET value = '99' WHERE key = 'schema'")

    keeper.until(lambda: bool(keeper.news))

    assert "newer version" in keeper.news[0]
    assert "not started again" in keeper.news[0]
