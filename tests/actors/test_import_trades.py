"""Freqtrade's closed trades in our history: exact, once, marked, made again when the file is, and no open one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.batch.audit import audit
from actors.batch.candle_files import put
from actors.batch.freqtrade_trades import import_rows, read_trades
from actors.cli import main
from actors.commands.parsing import BAD_INPUT, OK
from actors.files import Files, RunLock
from actors.history.imports import import_bytes
from actors.history.process import history_end
from actors.history.sql import run_query
from actors.history.store import open_store
from actors.journal import FileJournal
from actors.opening import open_journal
from engine.types import use_money_context
from tests.actors.freqtrade_database import CLOSED, OPEN, ORDERS_MADE, make_database
from tests.actors.history_entries import T0, Bot
from tests.actors.test_history import Keeper

D = Decimal


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The paths of a history that is not there yet."""
    use_money_context()
    return Files.beside(tmp_path / "bot.duckdb")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A Freqtrade database."""
    return make_database(tmp_path / "tradesv3.sqlite")


@pytest.fixture
def journal(files: Files) -> Iterator[FileJournal]:
    """The journal of a bot on those files."""
    opened = open_journal(files, now=T0).journal
    yield opened
    opened.close()


def imported(files: Files, database: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Import by the command; what it says of the trades."""
    config, target = database.with_name("freqtrade.json"), database.with_name("ours.toml")
    config.write_text("{}")
    target.unlink(missing_ok=True)
    arguments = ["--db", str(files.db), "--sqlite", str(database), "--json"]
    assert OK == main(["import-freqtrade", str(config), "-o", str(target), *arguments])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)["trades"]
    return answer


def ask(files: Files, query: str) -> list[tuple[Any, ...]]:
    """Rows of the history, as `tradepit sql` gives them."""
    return run_query(files.db, query)[1]


def test_a_closed_trade_is_a_row_exact_to_the_digit(
    files: Files, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each float is the decimal that it is written as, rounded to 18 places; times are UTC to the millisecond."""
    imported(files, database, capsys)
    (row,) = ask(
        files,
        "SELECT pair, side, epoch_ms(open_time), epoch_ms(close_time), open_rate, close_rate, amount, stake, profit_abs,"
        " profit_ratio, exit_reason, enter_tag, fees FROM closed_trades WHERE trade_id = 'freqtrade-1-1'",
    )

    assert (
        "BTC/USDT", "long", 1_788_264_000_000, 1_788_269_400_500, D("698.28"), D("669.53"), D("2.49714"),
        D("1743.693804639"), D("-75.19926439"), D("-0.043083332664190620"), "stop_loss", "dip",
        '{"USDT":"1.843693804639"}',
    ) == row  # fmt: skip


def test_orders_stand_by_their_trade(files: Files, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Purpose by side, the state in our words, what was filled and its cost; those of the open trade are left out."""
    imported(files, database, capsys)
    rows = ask(
        files,
        "SELECT order_id, trade_id, purpose, side, status, filled, cost, trigger_price, ended_at IS NOT NULL"
        " FROM orders ORDER BY order_id",
    )

    full, cost = D("2.49714"), D("1743.693804639")
    assert [
        ("x1", "freqtrade-1-1", "entry", "buy", "FILLED", full, cost, None, True),
        ("x2", "freqtrade-1-1", "entry", "buy", "CANCELED", D(0), D(0), None, True),
        ("x3", "freqtrade-1-1", "stop", "sell", "FILLED", full, cost, D("638.02"), True),
        ("x4", "freqtrade-1-2", "entry", "sell", "FILLED", full, cost, None, True),
        ("x5", "freqtrade-1-2", "exit", "buy", "FILLED", full, full * D("698.28"), None, True),
    ] == rows


def test_rows_are_marked_by_their_run(files: Files, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run below 0 for each strategy says where its trades come from; locks are kept as events."""
    answer = imported(files, database, capsys)

    assert [-1_000_000, -1_000_001] == answer["runs"]
    assert ask(files, "SELECT run, strategy, mode, source, ended > started FROM runs ORDER BY run DESC") == [
        (-1_000_000, "Other", "import", "freqtrade tradesv3.sqlite binance", True),
        (-1_000_001, "Sample", "import", "freqtrade tradesv3.sqlite binance", True),
    ]
    assert ask(files, "SELECT trade_id, funding_fees FROM trades WHERE funding_fees IS NOT NULL") == [
        ("freqtrade-1-2", D("-0.25"))
    ]
    assert ask(files, "SELECT kind, body->>'reason' FROM events") == [("FreqtradePairLock", "Cooldown")]


def test_open_trades_are_told_and_not_taken(files: Files, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of ours could guard them."""
    answer = imported(files, database, capsys)

    assert (2, 5, 1, [3]) == (answer["closed"], answer["orders"], answer["locks"], [t["id"] for t in answer["open"]])
    assert ask(files, "SELECT count(*) FROM open_trades") == [(0,)]


def test_importing_again_takes_only_what_is_new(
    files: Files, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trade that was open and is closed now comes in; the others are there already."""
    imported(files, database, capsys)
    second = imported(files, database, capsys)
    assert (0, 2) == (second["closed"], second["there_before"])
    make_database(database, [CLOSED, {**CLOSED, "id": 3, "open_date": "2026-09-02 00:00:00"}], ORDERS_MADE)
    answer = imported(files, database, capsys)

    assert (1, 1, [-2_000_000]) == (answer["closed"], answer["there_before"], answer["runs"])
    assert ask(files, "SELECT count(*), count(DISTINCT trade_id) FROM trades") == [(3, 3)]


def test_a_history_made_again_has_the_imports(files: Files, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deleting the history loses nothing that was imported: it lies beside."""
    imported(files, database, capsys)
    files.db.unlink()

    assert ask(files, "SELECT count(*) FROM closed_trades") == [(2,)]


def test_an_import_before_the_first_run_is_no_lost_journal(
    files: Files, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A history of imports only is not one whose journal is gone: the first run begins as any."""
    imported(files, database, capsys)
    opening = open_journal(files, now=T0, history_end=lambda: history_end(files))
    bot = Bot(opening.journal)
    bot.start()
    opening.journal.close()

    assert ((), 1) == (opening.findings, opening.journal.run)
    assert ask(files, "SELECT run, mode FROM runs ORDER BY run") == [
        (-1_000_001, "import"),
        (-1_000_000, "import"),
        (1, "paper"),
    ]


def test_the_audit_leaves_imports_alone(
    files: Files, database: Path, journal: FileJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """What no journal recorded is no difference from it."""
    Bot(journal).start()
    journal.close()
    imported(files, database, capsys)
    open_store(files).close()

    assert [] == [difference for difference in audit(files) if difference.kind.startswith("history")]


def test_a_running_bots_history_takes_an_import_in(files: Files, database: Path, journal: FileJournal) -> None:
    """A file that comes to lie beside the history is asked through the door soon after."""
    Bot(journal).start()
    lock, keeper = RunLock(files.lock), Keeper(files, door=True)
    try:
        keeper.until(lambda: keeper.process.door_port is not None)
        content = import_bytes("freqtrade", import_rows(read_trades(database), 1))
        put(files.imported(1), lambda aside: aside.write_bytes(content))
        keeper.until(lambda: ask(files, "SELECT count(*) FROM trades") == [(2,)])
    finally:
        keeper.process.close()
        lock.release()


@pytest.mark.parametrize("content", [b"garbage", import_bytes("x", {"tradepit_meta": []})[:-9], b""])
def test_an_import_that_is_damaged_is_left_out_and_said(files: Files, content: bytes) -> None:
    """A sentence names the file; the history opens all the same."""
    files.imported(1).write_bytes(content)
    store = open_store(files)
    store.close()

    assert ["bot.import-000001.json.gz is left out of the history"] == [f.partition(":")[0] for f in store.findings]


def test_an_import_cannot_write_into_other_tables(files: Files) -> None:
    """Only trades, orders, runs and events: what the journal alone may say is out of reach."""
    files.imported(1).write_bytes(import_bytes("x", {"tradepit_meta": [{"key": "applied_seq", "value": "9"}]}))
    store = open_store(files)
    store.close()

    assert "it has rows of tradepit_meta" in store.findings[0]


WRONG: dict[str, tuple[list[dict[str, Any]] | None, str]] = {
    "a time that is none": ([{**CLOSED, "close_date": "soon"}], "row 1 has close_date = 'soon', which is no time"),
    "a closed trade without a rate": ([{**CLOSED, "close_rate": None}], "trade 1 is closed and has no close_rate"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_row_is_named(case: str, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Database and row; nothing is imported, and no configuration is left behind."""
    trades, said = WRONG[case]
    database = make_database(tmp_path / "tradesv3.sqlite", trades, [])
    (tmp_path / "f.json").write_text("{}")
    arguments = ["-o", str(tmp_path / "o.toml"), "--db", str(files.db), "--sqlite", str(database)]

    assert BAD_INPUT == main(["import-freqtrade", str(tmp_path / "f.json"), *arguments])
    assert said in capsys.readouterr().err
    assert ({}, False) == (files.imports(), (tmp_path / "o.toml").exists())


def not_sqlite(path: Path) -> None:
    """A file of another kind."""
    path.write_bytes(b"no database at all, but some text" * 9)


def not_freqtrades(path: Path) -> None:
    """A database of another program."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text)")


def too_old(path: Path) -> None:
    """A database from before Freqtrade knew shorts."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE trades (id, exchange, pair, is_open)")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (not_sqlite, "cannot be read as an SQLite database"),
        (not_freqtrades, "is no Freqtrade database: it has no table trades"),
        (too_old, "is of an older Freqtrade: its table trades has no column is_short"),
        (lambda _: None, "does not exist; give Freqtrade's database with --sqlite"),
    ],
)
def test_a_file_that_is_no_freqtrade_database_is_a_sentence(
    make: Any, said: str, files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is and what would do."""
    make(tmp_path / "x.sqlite")
    (tmp_path / "f.json").write_text("{}")
    arguments = ["-o", str(tmp_path / "o.toml"), "--db", str(files.db), "--sqlite", str(tmp_path / "x.sqlite")]

    assert BAD_INPUT == main(["import-freqtrade", str(tmp_path / "f.json"), *arguments])
    assert said in capsys.readouterr().err


def test_the_database_is_found_by_the_configuration(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By db_url, or by the default name for a dry run, beside the configuration; another kind of database is said."""
    make_database(tmp_path / "tradesv3.dryrun.sqlite", [CLOSED, OPEN], [])
    config, target = tmp_path / "f.json", tmp_path / "o.toml"
    config.write_text('{"dry_run": true}')
    arguments = ["import-freqtrade", str(config), "-o", str(target), "--db", str(files.db)]

    assert OK == main(arguments)
    assert "1 closed trades with 0 orders are taken over as run -1000000" in capsys.readouterr().out
    target.unlink()
    config.write_text('{"db_url": "postgresql+psycopg2://u:p@host/db"}')
    assert BAD_INPUT == main(arguments)
    said = capsys.readouterr().err
    assert "convert-db" in said
    assert "u:p" not in said


def test_a_database_without_a_history_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--sqlite alone does not say where to."""
    assert BAD_INPUT == main(["import-freqtrade", str(tmp_path / "f.json"), "--sqlite", "x"])
    assert "--db FILE.duckdb" in capsys.readouterr().err
