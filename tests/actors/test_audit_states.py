"""The audit of what pairs keep: what they have earned is what their trades and their funding come to."""

from __future__ import annotations

from decimal import Decimal

from actors.batch.audit_books import BookedTrade, Books
from actors.batch.audit_states import KeptStates, check_states
from actors.batch.findings import Findings
from engine.keeping import trade_to_plain
from engine.market import Market
from engine.position import Position
from engine.settings import Settings
from engine.work import Rules, Trade

D = Decimal
PAIR = "BTC/USDT:USDT"


def test_funding_of_the_trade_before_is_earned_while_the_next_is_open() -> None:
    """A payment that was told after its trade had closed is in the pair's earnings at once, whatever is open then."""
    market = Market(pair=PAIR, base="BTC", quote="USDT", price_step=D("0.1"), amount_step=D("0.001"))
    rules = Rules(settings=Settings(timeframe_ms=60_000), market=market, order_prefix="", run=0, fee=D(0))
    trade = Trade(pair=PAIR, rules=rules, number=2, earned=D("3.2"))
    trades = {
        "1": BookedTrade(trade_id="1", pair=PAIR, position=Position(booked=D(3)), closed={}),
        trade.trade_id: BookedTrade(trade_id=trade.trade_id, pair=PAIR, position=Position(), late=D("0.2")),
    }
    findings = Findings()
    check_states(Books(), trades, KeptStates(seq=0, states={f"pair:{PAIR}": trade_to_plain(trade)}), findings)

    assert findings.differences == {}
