"""What the trade machine wants done: data, in the order to do it.

Besides these, a step may return messages of `engine.messages` that go to the actor which handles
them (`ReserveCapital`, `ExposureChanged`, `AskStrategy`, …). Whoever drives the machine (an actor, a
backtest, a test) does the actions and reports their outcome as further events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.order import Order
from engine.types import Millis


class Action:
    """Base of the machine's own actions."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Place(Action):
    """Record the intent, then send the order; answered by order events or `PlaceAborted`."""

    order: Order
    grant_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Cancel(Action):
    """Cancel this working order; answered by `OrderCanceled`, `CancelRejected` or a fill."""

    order: Order


@dataclass(frozen=True, slots=True)
class Amend(Action):
    """Change this resting order to what it is `amending` to; answered by `OrderAmended`, `AmendRejected` or a doubt."""

    order: Order


@dataclass(frozen=True, slots=True)
class LookUp(Action):
    """Ask the venue what is true of this pair's orders; answered by `VenueSnapshot`."""


@dataclass(frozen=True, slots=True)
class Emit(Action):
    """A domain event for the journal. Values of `body` are plain, or Decimals."""

    kind: str
    ts: Millis
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SetTimer(Action):
    """Send `TimerFired(name)` after `delay_ms`, of market time if `market`; replaces one of that name."""

    name: str
    delay_ms: Millis
    market: bool = False


@dataclass(frozen=True, slots=True)
class Judge(Action):
    """Judge the pair's current signal once more: the trade it was opposed to has closed (2.3.6)."""


@dataclass(frozen=True, slots=True)
class Alarm(Action):
    """Tell the user: something needs eyes."""

    event: str
    text: str
    severity: str = "alarm"
