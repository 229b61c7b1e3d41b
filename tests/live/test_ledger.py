"""The measure of how long a position was unguarded, on ledgers written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.ledger import longest_gap

ID = "tpAAAAAAr1p0000beeft1i"


def order(number: int, created: int, **more: Any) -> dict[str, Any]:
    plain = {"id": number, "client_id": f"{ID}{number}", "symbol": "BTCUSDT", "side": "SELL", "type": "MARKET"}
    plain |= {
        "qty": "1",
        "filled": "1",
        "status": "FILLED",
        "reduce_only": False,
        "created": created,
        "updated": created,
    }
    return {**plain, **more}


def trade(of: dict[str, Any]) -> dict[str, Any]:
    return {"client_id": of["client_id"], "symbol": "BTCUSDT", "ts": of["created"], "qty": "1", "order_id": of["id"]}


@pytest.mark.parametrize(
    ("guarded_at", "triggered_at", "away", "gap_s"),
    [(1_000, 0, [], 0.0), (4_000, 0, [], 3.0), (4_000, 60_000, [], 3.0), (None, 0, [], 99.0), (9_000, 0, [(2_000, 8_000)], 2.0)],
    ids=["at once", "later", "later, and triggered", "never", "while no bot ran"],
)  # fmt: skip
def test_a_gap_is_from_the_fill_to_the_stop(
    guarded_at: int | None, triggered_at: int, away: list[tuple[float, float]], gap_s: float
) -> None:
    """A resting stop guards until it triggers, under whatever id it fills then; the times without a bot do not count."""
    entry = order(1, 1_000)
    orders, algos = [entry], []
    if guarded_at is not None:
        stop = order(10, guarded_at, client_id=f"{ID}2", side="BUY", type="STOP_MARKET", reduce_only=True, filled="0")
        became = 2 if triggered_at else 0
        algos.append(
            {**stop, "status": "FINISHED" if became else "NEW", "order_id": became, "triggered_at": triggered_at}
        )
        if became:
            orders.append(order(2, triggered_at, client_id=f"{ID}2", side="BUY", reduce_only=True))
    ledger = {"orders": orders, "trades": [trade(one) for one in orders], "algos": algos, "positions": {}}

    assert longest_gap(ledger, 100_000, away)[0] == gap_s


def test_a_stop_for_a_half_guards_the_half() -> None:
    """Counted by orders the position has its stop; counted by amounts the other half has none until the second stop stands."""
    entry = order(1, 1_000)
    half = order(2, 1_000, client_id=f"{ID}2", type="STOP_LOSS", status="NEW", filled="0", qty="0.5")
    rest = order(3, 7_000, client_id=f"{ID}3", type="STOP_LOSS", status="NEW", filled="0", qty="0.5")
    ledger = {"orders": [{**entry, "side": "BUY"}, half, rest], "trades": [trade(entry)]}

    assert longest_gap(ledger, 100_000)[0] == 0.0
    assert longest_gap(ledger, 100_000, partly=True)[0] == 6.0
