"""Bases of old hyperopt files: such a file loads, and says which parameters were searched in which space."""

from __future__ import annotations

from typing import Any


class IHyperOpt:
    """Base of an old hyperopt class: spaces and generators of signals, which parameters in a strategy replace."""

    timeframe: str = ""
    ticker_interval: str = ""
    strategy: Any = None

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self.config = config or {}


class IHyperOptLoss:
    """Base of a loss function: the lower its value, the better."""

    timeframe: str = ""
