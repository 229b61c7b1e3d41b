"""What a run counts besides its trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.denials import Denial

REFUSED_STAKES: Final = frozenset(
    {Denial.NOT_ENOUGH_CAPITAL, Denial.STAKE_UNDER_MINIMUM, Denial.MAX_EXPOSURE, Denial.MAX_EXPOSURE_PAIR}
)
"""Why a stake is refused: it is not there, too small for the market, or more than a limit of `[risk]` allows."""


@dataclass(slots=True)
class Counters:
    """What a run counts besides its trades: entries refused for want of a slot or of money, orders given up or moved, locks.

    `refused_stakes` are entries for whose stake there was not the money, that the market finds too small, or `[risk]`
    too large.
    """

    rejected_signals: int = 0
    refused_stakes: int = 0
    timedout_entry_orders: int = 0
    timedout_exit_orders: int = 0
    canceled_trade_entries: int = 0
    canceled_entry_orders: int = 0
    replaced_entry_orders: int = 0
    locks: int = 0
