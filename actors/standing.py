"""How a bot stands, made of its actors' figures: of one account as it is, of several each by its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.messages import AccountJoined, ControlAnswered
from engine.naming import named
from engine.types import Millis, TradeState, TradingState

OWN: Final = ("portfolio", "gateway", "feed", "limiter")
"""Whose figures each account has."""

SHARED: Final = ("persistence", "notifier", "root")

Answers = Mapping[str, ControlAnswered]


def actors_of(accounts: Iterable[AccountJoined], services: Sequence[str]) -> list[str]:
    """Everybody who is asked for figures: services, those of each account, and all pairs."""
    asked = [name for name in services if name in SHARED]
    for account in accounts:
        asked += [named(role, account.account) for role in services if role in OWN]
        asked += [f"pair:{pair}" for pair in sorted(account.pairs)]
    return asked


def standing(
    accounts: Sequence[AccountJoined], found: Answers, services: Sequence[str], now: Callable[[str], Millis]
) -> dict[str, Any]:
    """The figures of all: an account without a name has its own beside the shared ones, others have a table each.

    `now` tells an account's market time.
    """
    data: dict[str, Any] = {"ts": now("")}
    tables = {account.account: _account(account, found, services, now) for account in accounts}
    unnamed = tables.pop("", None)
    if unnamed is not None:
        data |= unnamed
    if tables:
        data["accounts"] = tables
    data |= {name: dict(found[name].data) for name in services if name in SHARED and name in found}
    data["open_trades"] = [
        {**figures, "pair": pair}
        for account in accounts
        for pair in sorted(account.pairs)
        if has_trade(figures := _figures(found, f"pair:{pair}"))
    ]
    return data


def _account(
    account: AccountJoined, found: Answers, services: Sequence[str], now: Callable[[str], Millis]
) -> dict[str, Any]:
    names = [f"pair:{pair}" for pair in account.pairs]
    states = Counter(str(found[name].data.get("state", "unknown")) for name in names if name in found)
    own = {role: named(role, account.account) for role in services if role in OWN}
    return {
        "strategy": account.strategy,
        "mode": account.mode,
        "ts": now(account.account),
        "pairs": dict(states),
        **{role: dict(found[name].data) for role, name in own.items() if name in found},
    }


def in_words(data: Mapping[str, Any], pairs: int) -> str:
    """How it stands, in a sentence."""
    tables = data.get("accounts", {})
    if not tables and "pairs" not in data:
        return "No account is there yet."
    states = [f"{name} {_state(table)}" for name, table in tables.items()] if tables else [_state(data)]
    return f"{', '.join(states)}: {pairs} pairs, {len(data['open_trades'])} open trades."


def _state(table: Mapping[str, Any]) -> str:
    return str(table.get("portfolio", {}).get("state", "unknown"))


def turned(wanted: TradingState, answer: ControlAnswered | None) -> ControlAnswered:
    """What came of a turn of an account's switch, in words; `answer` is its portfolio's."""
    if answer is None:
        detail = "The portfolio did not answer in time; see `tradepit status` for what came of it."
        return ControlAnswered(request_id="", ok=False, detail=detail)
    state = str(answer.data.get("state", ""))
    held = answer.data.get("open_trades", 0)
    if state == wanted:
        words = "New entries are made again" if wanted is TradingState.ACTIVE else "No new entries are made"
        detail = f"{words}; {held} open trades are managed as ever."
    else:
        why = "; ".join(str(reason) for reason in answer.data.get("reasons", ())) or "another limit holds"
        detail = f"Done, but the state stays {state}: {why}."
    return ControlAnswered(request_id="", ok=True, detail=detail, data={"state": state, "open_trades": held})


def _figures(found: Answers, name: str) -> dict[str, Any]:
    return dict(found[name].data) if name in found else {}


def has_trade(figures: Mapping[str, Any]) -> bool:
    """Whether a pair's own figures say that it holds something or is about to."""
    return figures.get("state") in {TradeState.ENTERING, TradeState.OPEN, TradeState.EXITING} or "trade_id" in figures
