"""Orders priced by the book, on the paper venue: where they rest, when they are filled, and what a lost answer costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from actors.files import Files
from engine.messages import Message, QuoteTold
from engine.settings import EntryPricingConfig, PricingConfig, Settings
from engine.types import use_money_context
from tests.actors.paper_bot import SETTINGS, D, PaperBot


def settings_of(entry: str, leave: str, **more: Any) -> Settings:
    """By hand in at a limit, and out by ROI at once at a limit: each at its side of the book."""
    return replace(
        SETTINGS,
        stop_on_venue=False,
        force_entry_type="limit",
        roi=((0, D("-0.5")),),
        entry_pricing=EntryPricingConfig(price_side=entry),
        exit_pricing=PricingConfig(price_side=leave),
        entry_timeout_ms=0,
        exit_timeout_ms=0,
        **more,
    )


def traded(files: Files, settings: Settings, *, minutes: int = 10, faults: Any = None) -> None:
    """One run of a bot in which two pairs enter by hand."""
    use_money_context()
    with PaperBot(files, pairs=2, settings=settings) as bot:
        bot.runtime.faults = faults or bot.runtime.faults
        bot.enter(bot.pairs)
        bot.runtime.run(minutes * 60_000)


def ask(files: Files, query: str) -> list[tuple[Any, ...]]:
    """Rows of the history."""
    with duckdb.connect(str(files.db), read_only=True) as db:
        return db.execute(query).fetchall()


ORDERS = "SELECT purpose, priced, price = bid, price = ask, status, quoted_at IS NOT NULL FROM orders ORDER BY seq"
MAKERS = "SELECT purpose, maker FROM fills JOIN orders USING (client_order_id)"


def test_an_order_at_its_own_side_rests_and_is_filled_later(tmp_path: Path) -> None:
    """A buy waits at the bid and a sale at the ask until the price comes; the history says why that price."""
    files = Files.beside(tmp_path / "x.duckdb")
    traded(files, settings_of("same", "same"), minutes=30)
    orders = ask(files, ORDERS)

    assert {("entry", "same (paper)", True, False)} == {o[:4] for o in orders if o[0] == "entry"}
    assert ("exit", "same (paper)", False, True, "FILLED", True) in orders
    assert {("entry", True), ("exit", True)} == set(ask(files, MAKERS))
    said = ask(files, "SELECT detail FROM decisions WHERE signal = 'force_enter_long' AND outcome = 'traded'")
    assert all(detail.startswith("same (paper): bid ") for (detail,) in said)
    assert len(said) == 2


def test_an_order_at_the_other_side_is_taken_at_once(tmp_path: Path) -> None:
    """A buy asks the ask and a sale the bid: both cross, and are filled as takers."""
    files = Files.beside(tmp_path / "x.duckdb")
    traded(files, settings_of("other", "other"), minutes=1)

    assert [
        ("entry", "other (paper)", False, True, "FILLED", True),
        ("exit", "other (paper)", True, False, "FILLED", True),
    ] == sorted(set(ask(files, ORDERS)))
    assert {("entry", False), ("exit", False)} == set(ask(files, MAKERS))


def lost(_rng: Random, _sender: str, _to: str, message: Message) -> tuple[int, ...]:
    """No quote arrives."""
    return () if isinstance(message, QuoteTold) else (0,)


def late(_rng: Random, _sender: str, _to: str, message: Message) -> tuple[int, ...]:
    """Quotes arrive long after their time, and twice."""
    return (5_000, 6_000) if isinstance(message, QuoteTold) else (0,)


@pytest.mark.parametrize("faults", [lost, late])
def test_without_a_quote_there_is_no_entry(tmp_path: Path, faults: Any) -> None:
    """The answer is lost, or late and doubled: a row says why nothing was bought, and nothing is."""
    files = Files.beside(tmp_path / "x.duckdb")
    traded(files, settings_of("same", "same"), minutes=1, faults=faults)

    assert [] == ask(files, "FROM orders")
    assert 2 * [("denied", "NO_QUOTE", "no quote came in time")] == ask(
        files, "SELECT outcome, code, detail FROM decisions WHERE signal = 'force_enter_long'"
    )


@pytest.mark.parametrize("faults", [lost, late])
def test_an_exit_leaves_without_a_quote(tmp_path: Path, faults: Any) -> None:
    """An exit whose quote does not come is ordered within its second, at the last price, and says so."""
    files = Files.beside(tmp_path / "x.duckdb")
    traded(files, settings_of("last", "same"), faults=faults)
    exits = ask(files, "SELECT DISTINCT priced, bid, quoted_at FROM orders WHERE purpose = 'exit'")
    took = ask(
        files,
        "SELECT max(epoch_ms(e.intended_at) - epoch_ms(f.ts)) FROM orders e JOIN fills f USING (trade_id)"
        " JOIN orders o ON o.client_order_id = f.client_order_id"
        " WHERE e.purpose = 'exit' AND o.purpose = 'entry' AND e.tag = 'roi'",
    )

    assert [("last: no quote came in time", None, None)] == exits
    assert took[0][0] <= 2_000


def test_a_book_that_is_too_thin_is_not_entered(tmp_path: Path) -> None:
    """The simulated book is as deep on both sides, so twice the other side is never there; a user's limit entry is free."""
    files = Files.beside(tmp_path / "x.duckdb")
    settings = settings_of("same", "same")
    traded(files, replace(settings, entry_pricing=EntryPricingConfig(price_side="same", bids_to_ask_delta=D(2))))

    assert 2 == len(ask(files, "FROM orders WHERE purpose = 'entry'"))
