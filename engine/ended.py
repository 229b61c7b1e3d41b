"""What a trade came to, from its position: the sum that the machine and runs of plain trades tell alike."""

from __future__ import annotations

from decimal import Decimal

from engine.market import told_stake
from engine.messages import TradeClosed
from engine.position import Position
from engine.types import Millis


def summed_up(
    pair: str,
    trade_id: str,
    position: Position,
    *,
    span: tuple[Millis, Millis],
    why: tuple[str, str],
    extremes: tuple[Decimal, Decimal],
    stops: tuple[Decimal, Decimal],
) -> TradeClosed:
    """What a trade came to whose position was left.

    `span` is when it was opened and closed, `why` its enter tag and exit reason, `extremes` the highest and
    the lowest price, `stops` its first stop and its last.
    """
    return TradeClosed(
        pair=pair,
        trade_id=trade_id,
        side=position.side,
        open_ts=span[0],
        close_ts=span[1],
        open_rate=position.open_rate,
        close_rate=position.close_rate,
        amount=position.entered_amount,
        stake=told_stake(position.entered_cost, position.leverage),
        leverage=position.leverage,
        fee_open=position.entry_fee_rate,
        fee_close=position.exit_fee_rate,
        profit_abs=position.booked,
        profit_ratio=position.profit_ratio,
        exit_reason=why[1],
        enter_tag=why[0],
        max_rate=extremes[0],
        min_rate=extremes[1],
        initial_stop=stops[0],
        stop=stops[1],
        fees=position.fees,
        funding_fees=position.funding,
    )
