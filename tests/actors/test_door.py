"""The SQL door: any SELECT over the history, live; nothing else, and nothing that could cost more than the door."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from actors.files import Files, RunLock
from actors.history.door import admitted, load_extensions
from actors.history.guard import Guard, Refused
from actors.history.process import HistoryProcess
from actors.history.sql import QueryError, ask_door, format_rows, run_query
from actors.journal import FileJournal
from actors.opening import open_journal
from engine.errors import StorageError
from engine.settings import HistoryConfig
from engine.types import use_money_context
from tests.actors.history_entries import Bot, fill_journal

ALLOWED = [
    "SELECT count(*) FROM trades",
    "FROM main.trades",
    "FROM history.main.trades",
    "TABLE trades",
    "WITH a AS (SELECT 1 AS x) SELECT * FROM a JOIN trades ON true",
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t",
    "DESCRIBE trades",
    "SHOW TABLES",
    "SUMMARIZE trades",
    "SELECT *, sum(profit_abs) OVER (PARTITION BY pair ORDER BY close_time) FROM trades",
    "SELECT list_transform([1], lambda x: x + 1), {'a': 1}.a, today(), strftime(now(), '%Y')",
    "SELECT CASE WHEN pair LIKE 'B%' THEN 1 END, stop BETWEEN 1 AND 2, CAST(stop AS DOUBLE) FROM trades",
    "SELECT quantile_cont(profit_ratio, 0.5), stddev(profit_ratio), arg_max(pair, stop) FROM trades",
    "PIVOT trades ON pair IN ('a', 'b') USING sum(stop)",
    "SELECT * FROM range(10)",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM duckdb_columns()",
]

REFUSED = [
    "INSERT INTO trades (trade_id) VALUES ('x')",
    "DELETE FROM trades",
    "UPDATE trades SET pair = 'x'",
    "DROP TABLE trades",
    "CREATE TABLE x (a INTEGER)",
    "CREATE MACRO m() AS 1",
    "COPY trades TO '/tmp/x'",
    "COPY trades FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/x'",
    "SET memory_limit = '1TB'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "PRAGMA database_list",
    "ATTACH '/tmp/x.duckdb'",
    "DETACH history",
    "USE memory",
    "LOAD httpfs",
    "INSTALL httpfs",
    "CHECKPOINT",
    "VACUUM",
    "CALL quack_serve('quack:localhost:1')",
    "CALL enable_logging()",
    "PREPARE x AS SELECT 1",
    "SELECT 1; DROP TABLE trades",
    "",
    "FROM quack_serve('quack:localhost:1')",
    "FROM quack_stop('quack:localhost:1')",
    "FROM quack_query('quack:localhost:1', 'SELECT 1')",
    "FROM enable_logging()",
    "FROM force_checkpoint()",
    "FROM duckdb_secrets()",
    "FROM duckdb_settings()",
    "FROM query('DROP TABLE trades')",
    "FROM query_table('trades')",
    "FROM glob('/*')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "FROM '/etc/passwd'",
    "FROM 'x.parquet'",
    "FROM tradepit_meta",
    "SELECT nextval('s')",
    "SELECT 's'.nextval()",
    "SELECT sleep_ms(100000)",
    "SELECT pg_sleep(100)",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT write_log('x')",
    "SELECT door_admit('a', 'b')",
    "SELECT quack_check_token('a', 'b', 'c')",
    "SELECT * FROM trades WHERE (SELECT count(*) FROM read_text('/etc/passwd')) > 0",
    "SELECT * FROM trades ORDER BY nextval('s')",
    "SELECT count(*) FILTER (WHERE nextval('s') > 1) FROM trades",
    "SELECT sum(1) OVER (ORDER BY nextval('s'))",
    "SELECT list_transform([1], lambda x: nextval('s'))",
    "SELECT * REPLACE (nextval('s') AS pair) FROM trades",
    "WITH a AS (FROM read_text('/etc/passwd')) SELECT 1",
    "WITH a AS (SELECT 1) SELECT * FROM other.a",
    "VALUES (read_text('/etc/passwd'))",
]


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(frozenset({"trades", "fills"}))


@pytest.mark.parametrize("query", ALLOWED)
def test_questions_are_let_through(guard: Guard, query: str) -> None:
    """Whatever an analyst asks of tables and views, in whatever form of SELECT, is executed as it is."""
    assert guard.check(query) == query


@pytest.mark.parametrize("query", REFUSED)
def test_everything_else_is_refused(guard: Guard, query: str) -> None:
    """What writes, configures, reads files, waits or reaches the door itself is refused, wherever it hides."""
    with pytest.raises(Refused):
        guard.check(query)


@pytest.mark.parametrize("query", ["BEGIN", "BEGIN TRANSACTION", "COMMIT", "ROLLBACK"])
def test_transactions_are_no_ops(guard: Guard, query: str) -> None:
    """A client's transaction is never opened, so it cannot keep old rows alive."""
    assert guard.check(query) == "SELECT true AS ok"


# ---------------------------------------------------------------- the open door


class Running:
    """A journal, a history process with its door, and what a bot does for it: poll."""

    def __init__(self, files: Files, **settings: Any) -> None:
        self.files = files
        self.lock = RunLock(files.lock)
        self.journal: FileJournal = open_journal(files, now=1).journal
        self.bot: Bot = fill_journal(self.journal)
        self.process = HistoryProcess(files, HistoryConfig(**settings))
        self.news: list[str] = []
        door = settings.get("door", True)
        self.until(lambda: (self.process.door_port is not None) == door and self.process.applied == self.journal.seq)

    def until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while not holds():
            self.news += self.process.poll(time.monotonic())
            assert time.monotonic() < deadline, self.news
            time.sleep(0.01)

    def close(self) -> None:
        self.process.close()
        self.journal.close()
        self.lock.release()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    use_money_context()
    running = Running(Files.beside(tmp_path_factory.mktemp("door") / "bot.duckdb"))
    yield running
    running.close()


def test_a_door_that_is_off_is_said_to_be(tmp_path: Path) -> None:
    """Who asks while a bot runs without its door is told so, and what to do."""
    files = Files.beside(tmp_path / "bot.duckdb")
    closed = Running(files, door=False)
    closed.until(files.door.exists)
    try:
        with pytest.raises(StorageError, match=r"door off \(\[history\] door = false\)"):
            run_query(files.db, "FROM trades")
    finally:
        closed.close()


def attached(files: Files) -> duckdb.DuckDBPyConnection:
    """Any DuckDB client."""
    where = json.loads(files.door.read_text())
    client = duckdb.connect(":memory:")
    load_extensions(client)
    client.execute(f"ATTACH 'quack:localhost:{where['port']}' AS bot (TOKEN '{where['token']}', DISABLE_SSL true)")
    return client


def test_a_client_attaches_and_asks_live(running: Running) -> None:
    """A DuckDB client sees tables and views, and what is recorded while it is attached."""
    client = attached(running.files)
    before = client.execute("SELECT count(*) FROM bot.trades").fetchall()[0][0]
    running.bot.trade(100)
    running.until(lambda: running.process.applied == running.journal.seq)

    assert client.execute("SELECT count(*) FROM bot.trades").fetchall() == [(before + 1,)]
    assert client.execute("SELECT pair FROM bot.open_trades").fetchall() == [("A/USDT",)]
    client.execute("BEGIN")
    assert client.execute("SELECT count(*) FROM bot.why_not").fetchall() == [(1,)]
    client.execute("COMMIT")
    client.close()


def test_a_client_cannot_write(running: Running) -> None:
    """Neither through the attached catalog nor by statements of its own does a client change anything."""
    client = attached(running.files)

    for statement in (
        "INSERT INTO bot.trades (trade_id, pair, run, seq) VALUES ('x', 'x', 1, 1)",
        "CREATE TABLE bot.x (a INTEGER)",
        "DROP VIEW bot.trades",
        "FROM quack_query_by_name('bot', 'DELETE FROM history.main.trades')",
        "FROM quack_query_by_name('bot', 'INSERT INTO history.main.runs (run) VALUES (9)')",
        "FROM quack_query_by_name('bot', 'SELECT * FROM read_blob(''/etc/passwd'')')",
    ):
        with pytest.raises(duckdb.Error):
            client.execute(statement).fetchall()

    assert client.execute("SELECT count(*) FROM bot.trades WHERE trade_id = 'x'").fetchall() == [(0,)]
    client.close()


def test_the_token_is_needed(running: Running) -> None:
    """Without the token, which only the owner can read, nobody is let in."""
    assert stat.S_IMODE(running.files.door.stat().st_mode) == 0o600
    client = duckdb.connect(":memory:")
    load_extensions(client)

    with pytest.raises(duckdb.Error, match="Authentication failed"):
        client.execute(f"ATTACH 'quack:localhost:{running.process.door_port}' AS bot (TOKEN 'guess', DISABLE_SSL true)")
    client.close()


def test_it_listens_on_the_loopback_only(running: Running) -> None:
    """Nobody on the network reaches the door."""
    port = f"{running.process.door_port:04X}"
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()
        if line.split()[3] == "0A" and line.split()[1].endswith(":" + port)
    ]

    assert listening
    assert all(address.startswith(("0100007F", "0" * 24 + "01000000")) for address in listening)


def test_run_query_goes_through_the_door(running: Running) -> None:
    """While a bot runs, `run_query` asks the door; the error of a refused or wrong statement is a sentence."""
    columns, rows = run_query(running.files.db, "SELECT 'it''s' AS text, profit_abs FROM trades WHERE trade_id = 't1'")

    assert columns == ["text", "profit_abs"]
    assert rows == [("it's", Decimal("19.58"))]
    for query, words in {
        "DELETE FROM trades": "Only SELECT is possible here",
        "INSERT INTO runs (run) VALUES (1)": "Only SELECT is possible here",
        "SELECT nextval('x')": "The function nextval is not allowed here",
        "SELECT nothing FROM trades": 'column "nothing" not found',
        "SELEC 1": "syntax error",
        "FROM '/etc/passwd'": "There is no table /etc/passwd here; there are",
        "SELECT list(range) FROM range(700000000)": "(?i)failed to allocate|memory",
    }.items():
        with pytest.raises(QueryError, match=words):
            run_query(running.files.db, query)


def test_one_client_asks_the_door_several_questions(running: Running) -> None:
    """Their answers are those of one after the other; one that is wrong is a sentence."""
    queries = ["SELECT count(*) AS n FROM trades", "SELECT trade_id FROM trades WHERE trade_id = 't1'"]

    assert [run_query(running.files.db, query) for query in queries] == ask_door(running.files, queries)
    with pytest.raises(QueryError, match="Only SELECT is possible here"):
        ask_door(running.files, [*queries, "DELETE FROM trades"])


@pytest.mark.parametrize(
    "query",
    ["INSERT INTO main.trades VALUES (NULL)", 'INSERT INTO "ma in"."x\ny" VALUES (NULL)', " insert into x VALUES (1)"],
)
def test_inserts_are_refused_before_rows_arrive(guard: Guard, query: str) -> None:
    """Quack asks with an INSERT before it takes a client's rows, and any statement in answer would admit them."""
    assert admitted(guard, query) is None


def test_a_refusal_tells_the_client_why(guard: Guard) -> None:
    """Instead of a refused statement one is executed that fails with the reason."""
    assert admitted(guard, "FROM 'x'") == "SELECT error('There is no table x here; there are fills, trades.')"


def test_a_statement_past_its_time_costs_the_door_only(tmp_path: Path) -> None:
    """A statement without end is ended with the process; the door is back, with the same token, and so is the rest."""
    use_money_context()
    running = Running(Files.beside(tmp_path / "bot.duckdb"), statement_seconds=1)
    token = json.loads(running.files.door.read_text())["token"]
    client = attached(running.files)
    first = running.process.pid
    failed: list[str] = []

    def ask() -> None:
        try:
            client.execute("FROM quack_query_by_name('bot', 'SELECT count(*) FROM range(1000000000000)')").fetchall()
        except duckdb.Error as error:
            failed.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    running.until(lambda: running.process.pid not in (first, None) and running.process.door_port is not None)
    running.bot.trade(7)
    running.until(lambda: running.process.applied == running.journal.seq)
    asking.join(60)

    assert failed
    assert any("past the limit of 1 s" in said for said in running.news)
    assert json.loads(running.files.door.read_text())["token"] == token
    assert run_query(running.files.db, "SELECT count(*) FROM trades")[1] == [(3,)]
    running.close()


def test_without_a_bot_the_file_is_asked(tmp_path: Path) -> None:
    """When no bot runs, the file is brought up to date with the journal and asked; it is read-only all the same."""
    use_money_context()
    files = Files.beside(tmp_path / "bot.duckdb")
    journal = open_journal(files, now=1).journal
    fill_journal(journal)
    journal.close()

    assert run_query(files.db, "SELECT count(*) FROM closed_trades")[1] == [(1,)]
    with pytest.raises(Refused, match="Only SELECT"):
        run_query(files.db, "DELETE FROM trades")
    files.db.unlink()
    assert run_query(files.db, "SELECT count(*) FROM trades")[1] == [(2,)]


def test_no_history_is_a_sentence(tmp_path: Path) -> None:
    """Asking where no bot ever ran says so, and makes no file."""
    with pytest.raises(StorageError, match="There is no history at"):
        run_query(tmp_path / "x.duckdb", "SELECT 1")

    assert list(tmp_path.iterdir()) == []


def test_formats() -> None:
    """Decimals keep every digit and lose the padding; NULL is empty, null or nothing."""
    columns, rows = ["pair", "profit"], [("A/B", Decimal("1.500000000000000000")), ("C,D", None)]

    assert format_rows(columns, rows, "json") == '[{"pair": "A/B", "profit": 1.5},\n {"pair": "C,D", "profit": null}]'
    assert format_rows(columns, rows, "csv") == 'pair,profit\nA/B,1.5\n"C,D",'
    assert format_rows(columns, rows) == "pair  profit\n----  ------\nA/B      1.5\nC,D\n(2 rows)"
    assert format_rows(["n"], []) == "n\n-\n(0 rows)"
