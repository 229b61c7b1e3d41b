"""What the engine may raise, and what each means for the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TradepitError(Exception):
    """Base of all errors that Tradepit raises on purpose; its text is one sentence for a user."""


class IllegalTransition(TradepitError):
    """A transition table has no row for this state and event; nothing was changed.

    It is a bug of ours, or an exchange doing what the table does not know: the actor lets it
    crash it, and recovery starts in RECONCILING.
    """


class StrategyError(TradepitError):
    """A user's strategy could not be loaded or gave something unusable; costs its own pair only."""


class DataError(TradepitError):
    """A data file is missing or holds what cannot be used; the text names the file and the row."""


class StorageError(TradepitError):
    """A file of ours is locked, damaged, newer than this version, or cannot be written."""


class Outage(TradepitError):
    """An exchange does not answer now; it may later."""


class NotRunning(TradepitError):
    """No bot answers on those files."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration: where it is, what it says, why that is wrong, what would do."""

    key: str
    value: str
    why: str
    cure: str

    def __str__(self) -> str:
        shown = f" = {self.value}" if self.value else ""
        return f"{self.key}{shown}: {self.why}. {self.cure}"


class ConfigError(TradepitError):
    """Everything that is wrong with a configuration, all at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))
