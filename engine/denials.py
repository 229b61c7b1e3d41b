"""Why nothing was done: the codes that `decisions` carries, each with its meaning.

The table in the documentation is generated from here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Denial(StrEnum):
    """A reason not to act on a signal."""

    NO_FREE_SLOT = "NO_FREE_SLOT"
    PAIR_LOCKED = "PAIR_LOCKED"
    PROTECTION = "PROTECTION"
    EXITS_ONLY = "EXITS_ONLY"
    STOPPED = "STOPPED"
    NOT_ENOUGH_CAPITAL = "NOT_ENOUGH_CAPITAL"
    STAKE_UNDER_MINIMUM = "STAKE_UNDER_MINIMUM"
    MAX_EXPOSURE = "MAX_EXPOSURE"
    MAX_EXPOSURE_PAIR = "MAX_EXPOSURE_PAIR"
    BOTH_DIRECTIONS = "BOTH_DIRECTIONS"
    SHORTS_NOT_ALLOWED = "SHORTS_NOT_ALLOWED"
    ALREADY_OPEN = "ALREADY_OPEN"
    SIGNAL_TOO_OLD = "SIGNAL_TOO_OLD"
    DENIED_BY_STRATEGY = "DENIED_BY_STRATEGY"
    STRATEGY_FAILED = "STRATEGY_FAILED"
    STRATEGY_QUARANTINED = "STRATEGY_QUARANTINED"
    EXIT_NOT_WANTED = "EXIT_NOT_WANTED"
    PROFIT_UNDER_OFFSET = "PROFIT_UNDER_OFFSET"
    ALREADY_LEAVING = "ALREADY_LEAVING"
    NOTHING_OPEN = "NOTHING_OPEN"
    END_OF_DATA = "END_OF_DATA"
    RECONCILING = "RECONCILING"
    CENSUS = "CENSUS"
    VENUE_REJECTED = "VENUE_REJECTED"
    RATE_LIMIT = "RATE_LIMIT"
    DISK_FULL = "DISK_FULL"
    OLD_GRANT = "OLD_GRANT"
    UNFILLED = "UNFILLED"
    ADJUSTED_ENOUGH = "ADJUSTED_ENOUGH"
    NO_QUOTE = "NO_QUOTE"
    THIN_BOOK = "THIN_BOOK"


MEANING: Final[dict[Denial, str]] = {
    Denial.NO_FREE_SLOT: "max_open_trades trades are open or asked for already",
    Denial.PAIR_LOCKED: "the pair is locked for entries until the time given",
    Denial.PROTECTION: "a protection stopped entries, on this pair or on all",
    Denial.EXITS_ONLY: "entries are paused: by you, a risk limit, or a full disk",
    Denial.STOPPED: "trading is stopped; only what guards positions is sent",
    Denial.NOT_ENOUGH_CAPITAL: "what is available is less than the stake",
    Denial.STAKE_UNDER_MINIMUM: "the stake is under what the market takes, with the reserve for its stop",
    Denial.MAX_EXPOSURE: "all positions together would pass risk.max_exposure",
    Denial.MAX_EXPOSURE_PAIR: "the position would pass risk.max_exposure_per_pair",
    Denial.BOTH_DIRECTIONS: "the candle has signals in both directions",
    Denial.SHORTS_NOT_ALLOWED: "a short signal, and the strategy or venue has no shorts",
    Denial.ALREADY_OPEN: "the pair has a trade already",
    Denial.SIGNAL_TOO_OLD: "the signal was older than ignore_buying_expired_candle_after, or its candle had ended",
    Denial.DENIED_BY_STRATEGY: "a callback of the strategy said no",
    Denial.STRATEGY_FAILED: "the strategy raised, was late, or answered something unusable",
    Denial.STRATEGY_QUARANTINED: "the strategy failed three times in a row on this pair; it is judged no more",
    Denial.EXIT_NOT_WANTED: "use_exit_signal is off, or the candle has an entry signal too",
    Denial.PROFIT_UNDER_OFFSET: "exit_profit_only: the profit is not above exit_profit_offset",
    Denial.ALREADY_LEAVING: "a signal to leave, and the trade was being left already, or at that moment",
    Denial.NOTHING_OPEN: "an exit signal, and no position on that side",
    Denial.END_OF_DATA: "the data ends here",
    Denial.RECONCILING: "the pair is still finding out what is true at the venue",
    Denial.CENSUS: "the portfolio has just restarted and is counting",
    Denial.VENUE_REJECTED: "the venue refused the order",
    Denial.RATE_LIMIT: "the request could not be sent within the exchange's limits in time",
    Denial.DISK_FULL: "the disk is nearly full: entries wait, exits go on",
    Denial.OLD_GRANT: "the capital was granted by a portfolio that has been replaced since",
    Denial.UNFILLED: "the entry was not filled in time and was cancelled",
    Denial.ADJUSTED_ENOUGH: "max_entry_position_adjustment further entries have been filled",
    Denial.NO_QUOTE: "entry_pricing asks for prices of the order book, and none came in time; the detail says why",
    Denial.THIN_BOOK: "too little rested on the entry's side of the book, by entry_pricing.bids_to_ask_delta",
}
