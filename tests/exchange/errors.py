"""Refusals, as Binance words them."""

from __future__ import annotations

from typing import Final


class Refusal(Exception):
    """A request that is refused: HTTP status, Binance's code and its words."""

    def __init__(self, code: int, msg: str, status: int = 400, extra: dict[str, object] | None = None) -> None:
        super().__init__(f"{code} {msg}")
        self.code = code
        self.msg = msg
        self.status = status
        self.headers: dict[str, str] = {}
        self.extra = extra or {}

    def body(self) -> dict[str, object]:
        """The JSON of the answer."""
        return {"code": self.code, "msg": self.msg, **self.extra}


def filter_failure(name: str) -> Refusal:
    """One of the pair's filters is not met."""
    return Refusal(-1013, f"Filter failure: {name}")


def invalid_symbol() -> Refusal:
    """The pair does not exist (any more)."""
    return Refusal(-1121, "Invalid symbol.")


def missing(name: str) -> Refusal:
    """A parameter that the request must have."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> Refusal:
    """A parameter with characters it may not have."""
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


NO_FUNDS: Final = (-2010, "Account has insufficient balance for requested action.")
UNKNOWN_ORDER: Final = (-2011, "Unknown order sent.")
NO_SUCH_ORDER: Final = (-2013, "Order does not exist.")
