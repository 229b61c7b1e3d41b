"""Stored backtests: in SQL beside the bot's own trades, each once, whatever becomes of the history file."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from actors import spool
from actors.batch.backtest import run_backtest
from actors.batch.outcome import Outcome, outcome_of
from actors.batch.storing import export_trades, store
from actors.cli import BAD_INPUT, OK, main
from actors.files import Files, RunLock
from actors.history.process import HistoryProcess, history_end
from actors.history.rows import DECIMALS
from actors.history.sql import run_query
from actors.history.store import open_store
from actors.opening import open_journal
from engine.codec import to_plain
from engine.errors import DataError, StorageError
from engine.messages import Entry, Record
from engine.settings import HistoryConfig
from engine.types import use_money_context
from tests.actors.history_entries import fill_journal
from tests.actors.test_backtest_command import data, log_as_before, words
from tests.test_replay import PAIRS, made

Captured = pytest.CaptureFixture[str]
__all__ = ["data", "log_as_before", "words"]


@pytest.fixture(autouse=True)
def _money() -> None:
    use_money_context()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The files of a bot that has never run."""
    return Files.beside(tmp_path / "bot.duckdb")


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """A run with its events."""
    use_money_context()
    config, taped = made("Long", 3)
    return outcome_of(config, taped, run_backtest(config, taped, keep_events=True))


def ask(files: Files, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query on the history, brought up to date."""
    return run_query(files.db, query)[1]


def counted(files: Files) -> dict[int, int]:
    """How many trades each run has."""
    return dict(ask(files, "SELECT run, count(*) FROM trades GROUP BY run ORDER BY run"))


def test_a_stored_run_is_asked_like_a_bot(files: Files, outcome: Outcome) -> None:
    """Trades, orders, fills and decisions lie in the bot's tables, exact; the run says what it was."""
    store(files, outcome)
    trades = outcome.result.trades

    assert [(len(trades), outcome.result.profit)] == ask(files, "SELECT count(*), sum(profit_abs) FROM trades")
    assert [("FILLED", 2 * len(trades))] == ask(files, "SELECT status, count(*) FROM orders GROUP BY ALL LIMIT 1")
    assert [(2 * len(trades),)] == ask(files, "SELECT count(*) FROM fills")
    assert ask(files, "SELECT count(*) FROM decisions WHERE outcome = 'denied'") > [(0,)]
    run = "SELECT mode, strategy, fills, timeframe, wallet, json_array_length(pairs) FROM runs"
    assert [("backtest", "Long", "candle", "1m", outcome.result.wallet, len(PAIRS))] == ask(files, run)
    assert [(0.99,)] == ask(files, "SELECT CAST(settings->>'$.trading.tradable_balance_ratio' AS DOUBLE) FROM runs")
    row = ask(files, "SELECT run, trades, sharpe, max_drawdown, status FROM backtests")
    summary = outcome.summary
    assert [(-1, len(trades), summary.sharpe, summary.max_drawdown_account, "0")] == row
    assert ask(files, "SELECT count(*) FROM equity") == [(len(set((outcome.equity.ts // 3_600_000).tolist())),)]


def test_a_stored_run_has_the_rows_that_a_journal_would_have_made(
    files: Files, outcome: Outcome, tmp_path: Path
) -> None:
    """Events that the history takes from a journal, and the same of a stored backtest, become the same rows."""
    store(files, outcome)
    live = Files.beside(tmp_path / "live.duckdb")
    journal = open_journal(live, now=1).journal
    for writer, events in outcome.result.events.items():
        entries = tuple(Entry(kind=e.kind, ts=e.ts, body=to_plain(e.body), stream="domain") for e in events)
        journal.append([Record(writer=writer, seq=1, entries=entries)])
    journal.close()

    for table, ids in (("trades", 1), ("orders", 2), ("fills", 2), ("decisions", 1)):
        own = ("trade_id", "client_order_id")[:ids]
        bare = ", ".join(f"regexp_replace({name}, '^backtest1:', '') AS {name}" for name in own)
        told = ask(live, f"SELECT * EXCLUDE (run, seq) FROM {table} ORDER BY ALL")
        assert told == ask(files, f"SELECT * EXCLUDE (run, seq) REPLACE ({bare}) FROM {table} ORDER BY ALL")
        assert len(told) > 10


def test_the_decimal_columns_are_those_of_the_tables(files: Files, outcome: Outcome) -> None:
    """What is written as decimals is what the history's tables keep as decimals, no more and no less."""
    store(files, outcome)
    own = "database_name = 'history'"
    tables = f"(SELECT table_name FROM duckdb_tables() WHERE {own})"
    query = f"SELECT DISTINCT column_name, data_type FROM duckdb_columns() WHERE {own} AND table_name IN {tables}"
    kinds = ask(files, query)

    assert {name for name, kind in kinds if kind == "DECIMAL(38,18)"} == DECIMALS
    assert not DECIMALS & {name for name, kind in kinds if kind != "DECIMAL(38,18)"}


def test_without_its_events_a_run_has_its_trades(files: Files, outcome: Outcome) -> None:
    """A run of which only the trades were kept is as exact; it has no orders, fills and decisions of entries."""
    config, taped = made("Long", 3)
    bare = outcome_of(config, taped, run_backtest(config, taped))
    store(files, outcome)
    store(files, bare)
    columns = "* EXCLUDE (trade_id, run, seq, realized)"

    first, second = (ask(files, f"SELECT {columns} FROM trades WHERE run = {run} ORDER BY ALL") for run in (-1, -2))
    assert first == second
    assert [(-1,)] == ask(files, "SELECT DISTINCT run FROM orders")


def test_the_bots_own_figures_stay_its_own(files: Files, outcome: Outcome) -> None:
    """The views of the bot's trades leave stored backtests out; those of backtests leave the bot's out."""
    journal = open_journal(files, now=1).journal
    fill_journal(journal)
    journal.close()
    views = ("closed_trades", "open_trades", "profit_by_pair", "profit_by_day", "fees_paid", "slippage", "why_not")
    rows = "SELECT " + ", ".join(f"(SELECT list({view}) FROM {view}) AS {view}" for view in views)
    before = ask(files, rows)
    store(files, outcome)

    assert before == ask(files, rows)
    assert len(before[0]) == len(views)
    assert before[0][0], "the bot has closed trades"
    assert [(len(outcome.result.trades),)] == ask(files, "SELECT count(*) FROM backtest_trades")
    assert {-1, 1} == {run for (run,) in ask(files, "SELECT DISTINCT run FROM profit_by_run")}


def test_each_run_is_taken_in_once(files: Files, outcome: Outcome) -> None:
    """Two runs of the same strategy are two runs, however often the history is asked."""
    first, second = store(files, outcome), store(files, outcome)
    trades = len(outcome.result.trades)

    assert (-1, -2) == (first.run, second.run)
    assert {-2: trades, -1: trades} == counted(files) == counted(files)


def test_a_history_that_is_made_again_has_them_too(files: Files, outcome: Outcome) -> None:
    """The history is deleted: the bot's trades come from its journal, the backtests from their files."""
    journal = open_journal(files, now=1).journal
    fill_journal(journal)
    journal.close()
    store(files, outcome)
    before = ask(files, "FROM trades ORDER BY trade_id")
    files.db.unlink()

    assert before == ask(files, "FROM trades ORDER BY trade_id")


def test_a_run_that_was_cut_short_is_taken_in_again(files: Files, outcome: Outcome) -> None:
    """The process ends in the midst of a run: the next takes out what there is, and takes it in whole."""
    kept = store(files, outcome)
    whole = ask(files, "FROM trades ORDER BY trade_id")
    files.db.unlink()
    with closing(open_store(files)) as opened:
        for _ in range(2):
            opened.intake.step(10)
        partly = opened.connection.execute("SELECT count(*) FROM trades").fetchall()

    assert (0,) < partly[0] < (len(whole),)
    assert whole == ask(files, "FROM trades ORDER BY trade_id")
    assert [("0",)] == ask(files, f"SELECT status FROM runs WHERE run = {kept.run}")


def test_a_broken_file_costs_itself_only(files: Files, outcome: Outcome) -> None:
    """A stored run that cannot be read is left out, with a sentence, and the others are there."""
    for _ in range(3):
        store(files, outcome)
    broken, odd, newer = spool.spooled(files)
    files.db.unlink()
    trades = broken.table("trades")
    trades.write_bytes(trades.read_bytes()[:300])
    about = odd.path / spool.ABOUT
    known = json.loads(about.read_text())
    odd.table("weather").write_bytes(odd.table("trades").read_bytes())
    about.write_text(json.dumps({**known, "tables": {"weather": known["tables"]["trades"]}}))
    (newer.path / spool.ABOUT).write_text('{"format": 9}')
    old = files.backtests / f"000004{spool.OLD}"
    old.write_bytes(b"")
    fine = spool.keep(files, {"mode": "backtest"}, lambda _: {})
    with closing(open_store(files)) as opened:
        opened.catch_up()

        told = [finding.partition("backtest ")[2] for finding in opened.findings]
        assert ["000001", "000002", "000003", "000004"] == [finding[:6] for finding in told]
        assert "older version" in told[3]
    assert [(-5, "0"), *((run, "unreadable") for run in (-4, -3, -2, -1))] == ask(
        files, "SELECT run, status FROM runs ORDER BY run"
    )
    assert -5 == fine.run
    assert {} == counted(files)


def test_a_running_bots_history_takes_it_in(files: Files, outcome: Outcome) -> None:
    """While a bot runs its history process takes the run in by itself; nobody else opens the file."""
    use_money_context()
    lock = RunLock(files.lock)
    journal = open_journal(files, now=1).journal
    fill_journal(journal)
    process = HistoryProcess(files, HistoryConfig(db=str(files.db)))
    told: list[str] = []
    try:
        while process.door_port is None:
            told += process.poll(time.monotonic())
            time.sleep(0.02)
        kept = store(files, outcome)
        found: list[tuple[Any, ...]] = []
        while found != [("0",)]:
            told += process.poll(time.monotonic())
            found = ask(files, f"SELECT status FROM runs WHERE run = {kept.run}")
            time.sleep(0.02)
        there = ask(files, "SELECT count(*) FROM backtest_trades")
    finally:
        process.close()
        journal.close()
        lock.release()

    assert [(len(outcome.result.trades),)] == there
    assert [] == told


def test_a_bot_can_begin_on_a_file_of_backtests(files: Files, outcome: Outcome) -> None:
    """A history that holds stored backtests alone is no sign of a journal that was lost."""
    store(files, outcome)
    opening = open_journal(files, now=1, history_end=partial(history_end, files))
    fill_journal(opening.journal)
    opening.journal.close()

    assert ((), 1) == (opening.findings, opening.journal.run)
    assert {-1: len(outcome.result.trades), 1: 2} == counted(files)


def test_a_lost_journal_is_still_noticed(files: Files, outcome: Outcome) -> None:
    """Stored backtests do not hide that the journal of a bot that did run is gone."""
    journal = open_journal(files, now=1).journal
    fill_journal(journal)
    journal.close()
    store(files, outcome)
    for path in (files.journal, files.tail, *files.segments()):
        path.unlink(missing_ok=True)
    opening = open_journal(files, now=2, history_end=partial(history_end, files))
    opening.journal.close()

    assert "is gone" in opening.findings[0]


# ---------------------------------------------------------------- the command


def test_the_command_stores_and_compares(tmp_path: Path, words: list[str], capsys: Captured) -> None:
    """A replay stands for live: `backtest --db` on its history finds every trade in both, and the audit is content."""
    db = tmp_path / "bot.duckdb"
    assert OK == main(["replay", *words, "--db", str(db)])
    assert OK == main(["backtest", *words, "--db", str(db), "--orders"])
    assert "Stored as run -1" in capsys.readouterr().err
    files = Files.beside(db)

    seen = ask(
        files, "SELECT seen, count(*), sum(live_profit - backtest_profit) FROM backtest_against_live GROUP BY seen"
    )
    assert [("both", counted(files)[-1], 0)] == seen
    assert OK == main(["audit", "--db", str(db)])


def test_exports(tmp_path: Path, outcome: Outcome) -> None:
    """JSON and Parquet have the same trades; the Parquet file carries the figures too."""
    export_trades(tmp_path / "t.json", outcome)
    export_trades(tmp_path / "t.parquet", outcome)
    rows = json.loads((tmp_path / "t.json").read_text())
    table = pq.read_table(tmp_path / "t.parquet")

    assert list(rows[0]) == table.column_names
    assert [row["profit_abs"] for row in rows] == table["profit_abs"].to_pylist()
    assert [row["open_time"] for row in rows] == [t.isoformat() for t in table["open_time"].to_pylist()]
    figures = json.loads(table.schema.metadata[b"tradepit"])
    assert len(rows) == figures["trades"] == figures["summary"]["total_trades"]


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path, outcome: Outcome, words: list[str]) -> None:
    """A folder that is none, for an export or a history, is named."""
    (tmp_path / "file").write_text("")
    for name in ("t.json", "t.parquet"):
        with pytest.raises(DataError, match="cannot be written"):
            export_trades(tmp_path / "file" / name, outcome)
    with pytest.raises(StorageError, match="cannot be written to"):
        store(Files.beside(tmp_path / "file" / "x.duckdb"), outcome)
    assert BAD_INPUT == main(["backtest", *words, "--export", str(tmp_path / "file" / "t.json")])
    assert BAD_INPUT == main(["backtest", *words, "--orders"])


def test_a_file_that_is_open_elsewhere_gets_it_later(files: Files, outcome: Outcome) -> None:
    """Somebody has the DuckDB file open: the run is kept, that is said, and it is there at the next opening."""
    ask_once = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    store(files, outcome)
    command = [sys.executable, "-c", ask_once, str(files.db)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        stored = store(files, outcome)
        assert other.stdin is not None
        other.stdin.close()

    assert f"is open in process {other.pid}" in stored.told
    assert {-2: len(outcome.result.trades), -1: len(outcome.result.trades)} == counted(files)


def test_numbers_are_nobody_elses(files: Files) -> None:
    """A number that is being written, or was, is not given again."""

    def slowly(number: int) -> dict[str, bytes]:
        assert (1, -2) == (number, spool.keep(files, {}, lambda _: {}).run)
        return {}

    assert -1 == spool.keep(files, {}, slowly).run
    assert -3 == spool.keep(files, {}, lambda _: {}).run
    assert [1, 2, 3] == [run.number for run in spool.spooled(files)]
