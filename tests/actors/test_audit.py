"""The audit: finds every kind of lie that is put into a real bot's records, and none where there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from actors import segment
from actors.batch.audit import audit, examine
from actors.files import Files
from actors.history.store import open_store
from engine.types import Side
from tests.actors.paper_bot import PAPER, SETTINGS, D, PaperBot

Inject = Callable[[Files], None]


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A bot that has entered, left, entered again, and ended in order with two trades open."""
    files = Files.beside(tmp_path_factory.mktemp("audit") / "x.duckdb")
    with PaperBot(files) as bot:
        bot.enter(bot.pairs[:3])
        bot.leave(bot.pairs[:2])
        bot.enter(bot.pairs[:1])
    return files


def copied(files: Files, folder: Path) -> Files:
    """A copy to put lies into."""
    for path in files.db.parent.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    return Files.beside(folder / files.db.name)


def rewritten(files: Files, change: Callable[[segment.Row], segment.Row | None]) -> None:
    """Change the journal's entries and chain them anew: the lie of somebody who knows how."""
    with closing(sqlite3.connect(files.journal)) as db:
        rows = [after for row in db.execute("SELECT * FROM entries ORDER BY seq") if (after := change(row)) is not None]
        chain = segment.GENESIS
        db.execute("DELETE FROM entries")
        for number, row in enumerate(rows, 1):
            fresh = (number, *row[1:9], b"")
            chain = segment.chained(chain, fresh)
            db.execute(segment.INSERT_ENTRY, (*fresh[:9], chain))
        db.commit()
    files.tail.unlink()
    files.db.unlink()


def body_replaced(kind: str, old: str, new: str) -> Inject:
    """Change the text of the first entry of `kind` that has `old` in it."""

    def inject(files: Files) -> None:
        done: list[int] = []

        def change(row: segment.Row) -> segment.Row:
            if row[7] == kind and old in row[8] and not done:
                done.append(row[0])
                return (*row[:8], row[8].replace(old, new, 1), row[9])
            return row

        rewritten(files, change)
        assert done

    return inject


def entry_dropped(kind: str) -> Inject:
    """Leave the first entry of `kind` out."""

    def inject(files: Files) -> None:
        done: list[int] = []

        def change(row: segment.Row) -> segment.Row | None:
            if row[7] == kind and not done:
                done.append(row[0])
                return None
            return row

        rewritten(files, change)

    return inject


def order_forgotten(files: Files) -> None:
    """Leave every entry of one order out."""
    rewritten(files, lambda row: None if "t1i2" in row[8] and "BTC" in row[8] else row)


def venue(statement: str) -> Inject:
    """Change the venue's record."""

    def inject(files: Files) -> None:
        with closing(sqlite3.connect(files.venue)) as db:
            assert db.execute(statement).rowcount
            db.commit()

    return inject


def history(statement: str) -> Inject:
    """Change the history."""

    def inject(files: Files) -> None:
        with closing(duckdb.connect(str(files.db))) as db:
            db.execute(statement)

    return inject


def journal(statement: str) -> Inject:
    """Change the journal's file as it is."""

    def inject(files: Files) -> None:
        with closing(sqlite3.connect(files.journal)) as db:
            assert db.execute(statement).rowcount
            db.commit()

    return inject


def state_replaced(writer: str, old: str, new: str) -> Inject:
    """Change a kept state, checksum and all."""

    def inject(files: Files) -> None:
        with closing(sqlite3.connect(files.journal)) as db:
            row = db.execute("SELECT * FROM states WHERE writer = ?", (writer,)).fetchone()
            assert old in row[3]
            fields = (*row[:3], row[3].replace(old, new, 1))
            db.execute(segment.UPSERT_STATE, (*fields, segment.checksum(*fields)))
            db.commit()

    return inject


def of_first(table: str, column: str) -> str:
    return f"UPDATE {table} SET {column} WHERE number = (SELECT min(number) FROM {table})"


ORDER_TWICE = (
    "INSERT INTO orders (order_id, client_order_id, pair, purpose, side, type, amount, price, time_in_force,"
    " reduce_only, leverage, tag, status, filled, cost, ts, updated_at, account, currency, locked)"
    " SELECT order_id || 'x', client_order_id, pair, purpose, side, type, amount, price, time_in_force,"
    " reduce_only, leverage, tag, 'CANCELED', '0', '0', ts, updated_at, account, currency, '0'"
    " FROM orders WHERE number = 2"
)

LIES: dict[str, tuple[Inject, str]] = {
    "a fill's amount in the journal": (body_replaced("OrderFilled", '"amount":"0', '"amount":"1'), "fill"),
    "a fill's fee in the journal": (body_replaced("OrderFilled", '"fee":"0.5', '"fee":"0.6'), "fill"),
    "a fill left out of the journal": (entry_dropped("OrderFilled"), "fill"),
    "an order left out of the journal": (order_forgotten, "unknown order"),
    "a trade's profit in the journal": (body_replaced("TradeClosed", '"profit_abs":"-', '"profit_abs":"'), "TradeClosed"),
    "a trade's end left out of the journal": (entry_dropped("TradeClosed"), "earned"),
    "a flipped byte in the journal": (
        journal("UPDATE entries SET body = replace(body, 'BTC', 'BTD') WHERE kind = 'TradeOpened' AND body LIKE '%BTC%'"),
        "journal",
    ),
    "an order the venue lost": (venue("DELETE FROM orders WHERE number = 2"), "lost order"),
    "an order the venue has twice": (venue(ORDER_TWICE), "doubled"),
    "an order the venue made up": (
        venue("UPDATE orders SET client_order_id = replace(client_order_id, 't1i2', 't9i9') WHERE pair = 'BTC/USDT'"),
        "unknown order",
    ),
    "a fill's amount at the venue": (venue(of_first("fills", "amount = '1'")), "fill"),
    "a fill's price at the venue": (venue(of_first("fills", "price = '1'")), "fill"),
    "a fill the venue lost": (venue("DELETE FROM fills WHERE number = 1"), "fill"),
    "an order's status at the venue": (venue("UPDATE orders SET status = 'NEW' WHERE status = 'CANCELED'"), "order status"),
    "a balance": (venue("UPDATE balances SET free = free || '1' WHERE currency = 'USDT'"), "venue balance"),
    "what is locked": (
        venue("UPDATE balances SET free = '0', locked = free WHERE currency = 'USDT'"),
        "venue locked",
    ),
    "a deposit": (venue("UPDATE meta SET value = '9999' WHERE key = 'opened USDT'"), "venue balance"),
    "a kept position": (state_replaced("pair:BTC/USDT", '"entered_amount":"0', '"entered_amount":"1'), "kept position"),
    "what a pair has earned": (state_replaced("pair:BTC/USDT", '"earned":"-', '"earned":"-1'), "earned"),
    "what the portfolio has counted": (state_replaced("portfolio", '"BTC/USDT":"-', '"BTC/USDT":"-1'), "portfolio"),
    "a fill in the history": (history("UPDATE fills SET price = price + 1 WHERE seq = (SELECT min(seq) FROM fills)"), "history fill"),
    "a fill left out of the history": (history("DELETE FROM fills WHERE seq = (SELECT min(seq) FROM fills)"), "history fill"),
    "an order in the history": (history("UPDATE orders SET filled = filled + 1 WHERE purpose = 'entry'"), "history order"),
    "a trade in the history": (
        history("UPDATE trades SET profit_abs = profit_abs + 0.00000001 WHERE close_time IS NOT NULL"),
        "history trade",
    ),
    "a decision in the history": (
        history("UPDATE decisions SET code = 'X' WHERE seq = (SELECT min(seq) FROM decisions WHERE outcome = 'traded')"),
        "history decision",
    ),
    "a change left out of the history": (history("DELETE FROM decisions WHERE outcome = 'closed'"), "history change"),
    "the history's place": (history("UPDATE tradepit_meta SET value = '3' WHERE key = 'applied_seq'"), "history hash"),
    "a history that is gone": (lambda files: files.db.unlink(), "history"),
    "a venue that is gone": (lambda files: files.venue.unlink(), "venue"),
}  # fmt: skip


def test_true_records_agree(traded: Files) -> None:
    """A bot's own records have no difference, and the counts say that something was compared."""
    report = examine(traded)

    assert () == report.differences
    assert (4, 10, 6) == (report.trades, report.orders, report.fills)


def test_nothing_is_altered(traded: Files) -> None:
    """An audit leaves every file as it is, byte for byte, and makes none."""
    before = {p.name: sha256(p.read_bytes()).digest() for p in traded.db.parent.iterdir()}

    audit(traded)

    assert before == {p.name: sha256(p.read_bytes()).digest() for p in traded.db.parent.iterdir()}


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_found(traded: Files, tmp_path: Path, lie: str) -> None:
    """Whatever is changed in one record only is found, and named."""
    inject, kind = LIES[lie]
    files = copied(traded, tmp_path)

    inject(files)

    found = audit(files)
    assert kind in {difference.kind for difference in found}, [str(d) for d in found]
    assert all(str(d).endswith(".") for d in found)


def test_a_killed_bot_and_its_next_run_agree(tmp_path: Path) -> None:
    """Fills that came while nobody listened are taken over by the next start, and then all agree."""
    files = Files.beside(tmp_path / "x.duckdb")
    with PaperBot(files) as bot:
        bot.enter(bot.pairs[:3])
        end = bot.runtime.now()
        bot.kill()
    with PaperBot(files, start_ms=end + 86_400_000) as bot:
        bot.leave(bot.pairs)

    assert [] == audit(files)


def test_margin_and_a_third_coins_fees_agree(tmp_path: Path) -> None:
    """Shorts with leverage, and fees that are taken in a coin of their own until there is none of it left."""
    files = Files.beside(tmp_path / "x.duckdb")
    paper = replace(PAPER, fee_coin="FEE", fee_coin_price=D(3), fee_coin_wallet=D("0.6"))
    settings = replace(SETTINGS, can_short=True, leverage=D(3))
    with PaperBot(files, settings=settings, paper=paper) as bot:
        bot.enter(bot.pairs[:3], Side.SHORT)
        bot.leave(bot.pairs[:2])
        bot.enter(bot.pairs[:1], Side.LONG)

    report = examine(files)

    assert () == report.differences
    with closing(sqlite3.connect(files.venue)) as db:
        currencies = {row[0] for row in db.execute("SELECT DISTINCT fee_currency FROM fills")}
    assert {"FEE", "USDT"} == currencies


@pytest.mark.parametrize("loss", ["tail", "all", "states"])
def test_a_recovered_journal_is_a_note(tmp_path: Path, loss: str) -> None:
    """What the journal lost, said so, and took from the venue again, is no difference."""
    files = Files.beside(tmp_path / "x.duckdb")
    with PaperBot(files) as bot:
        bot.enter(bot.pairs[:2])
        bot.leave(bot.pairs[:1])
        middle = bot.journal.seq
        bot.enter(bot.pairs[2:3])
        end = bot.runtime.now()
        bot.kill()
    if loss == "all":
        segment.remove(files.journal)
    elif loss == "states":
        store = open_store(files)
        store.catch_up()  # the history has the fills that will be told again
        store.close()
        with closing(sqlite3.connect(files.journal)) as db:
            db.execute("UPDATE states SET hash = x'00' WHERE writer LIKE 'pair:%'")
            db.commit()
    else:
        with closing(sqlite3.connect(files.journal)) as db:
            db.execute("DELETE FROM entries WHERE seq > ?", (middle,))
            db.execute("DELETE FROM states WHERE seq > ?", (middle,))
            db.commit()
    with PaperBot(files, start_ms=end + 60_000) as bot:
        bot.leave(bot.pairs)

    report = examine(files)

    assert () == report.differences
    assert any("damage" in note.lower() for note in report.notes), report.notes


def test_a_segmented_journal_agrees(tmp_path: Path) -> None:
    """Closed segments are read too."""
    files = Files.beside(tmp_path / "x.duckdb")
    with PaperBot(files) as bot:
        bot.enter(bot.pairs[:2])
        assert bot.journal.rotate()
        bot.leave(bot.pairs[:2])

    report = examine(files)

    assert () == report.differences
    assert 2 == report.trades


def test_beside_a_writer(tmp_path: Path) -> None:
    """An intent that was recorded and not yet sent, and a history that is behind, are no differences."""
    files = Files.beside(tmp_path / "x.duckdb")
    with PaperBot(files) as bot:
        bot.enter(bot.pairs[:1])
        bot.write_history()
        bot.enter(bot.pairs[1:2])

        report = examine(files)

        assert () == report.differences
        assert any("behind" in note for note in report.notes)
