"""What became of a request that was to end one order and take another: Binance's `cancelReplace`, in every shape it answers.

The exchange ends the one first, and tries the other only if that has worked (`STOP_ON_FAILURE`). So of the four things
that may have happened three are told: both, neither, and the end without the new order. ccxt keeps only the new order of
an answer, and makes of the rest an exception that may mean anything; the answer itself says which it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.venues.live.failure import Exchanged, Failure, Verdict, failure_of
from actors.venues.live.wire import Answer
from actors.venues.live.words import text


@dataclass(frozen=True, slots=True)
class Replaced:
    """`ended` is what the exchange tells of the order that went, None where it has not; `failure` why the other did not come."""

    ended: Mapping[str, Any] | None = None
    failure: Failure | None = None


def replaced(answer: Answer, trading: Any, now_ms: int) -> Replaced:
    """What an answer says of both orders; what it does not say is in doubt."""
    failure, told = answer.failure, answer.told
    data = told.get("data", told) if isinstance(told, Mapping) else None
    if not isinstance(data, Mapping) or "cancelResult" not in data:
        return Replaced(failure=failure or _doubt("an answer without what was done"))
    results = text(data.get("cancelResult")), text(data.get("newOrderResult"))
    ended = data.get("cancelResponse")
    if results == ("FAILURE", "NOT_ATTEMPTED"):
        return Replaced(failure=Failure(Verdict.REFUSED, "NOT_ATTEMPTED", _sentence(ended)))
    if results[0] != "SUCCESS" or not isinstance(ended, Mapping):
        return Replaced(failure=_doubt(f"an answer that says {' and '.join(results)}"))
    if results[1] == "SUCCESS" and failure is None:
        return Replaced(ended)
    if results[1] == "FAILURE":
        return Replaced(ended, _refusal(data.get("newOrderResponse"), trading, now_ms))
    return Replaced(ended, _doubt(f"an answer that says {' and '.join(results)}"))


def _refusal(told: Any, trading: Any, now_ms: int) -> Failure:
    """Why the new order was not taken, as ccxt would have said it of an answer of its own."""
    if not isinstance(told, Mapping) or "code" not in told:
        return _doubt("a refusal without a reason")
    body = json.dumps(dict(told))
    try:
        trading.handle_errors(400, "", trading.urls["api"]["private"], "POST", {}, body, dict(told), {}, "")
    except Exception as error:  # noqa: BLE001 - this is how ccxt tells
        return failure_of(error, Exchanged(written=True, status=400, told=told), now_ms)
    return Failure(Verdict.REFUSED, "REFUSED", _sentence(told))


def _sentence(told: Any) -> str:
    return text(told.get("msg")) if isinstance(told, Mapping) and told.get("msg") else "the exchange does not say why"


def _doubt(why: str) -> Failure:
    return Failure(Verdict.IN_DOUBT, "", why)
