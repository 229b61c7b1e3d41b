"""The account on its way to a worker: only what it has not been shown goes over the socket.

A strategy that looks at all trades is shown the same closed trades with every question. They never change, and
open ones seldom do, so both ends keep what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from actors.judging.protocol import Kind, frame_json

Account = Mapping[str, Any]


class Shown:
    """The bot's end: what one worker has been shown."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}
        self._count = 0

    def frame(self, account: Account) -> bytes:
        """What is new in `account`, as a frame."""
        known, self._open = self._open, {view["trade_id"]: view for view in account["open"]}
        count, closed = account["closed_count"], account["closed"]
        missing = count - self._count
        whole = not 0 <= missing <= len(closed)
        self._count = count
        news = {
            "figures": account["figures"],
            "locks": account["locks"],
            "order": list(self._open),
            "open": [view for trade_id, view in self._open.items() if known.get(trade_id) is not view],
            "whole": whole,
            "closed": closed if whole else closed[len(closed) - missing :],
            "kept": len(closed),
            "closed_count": count,
        }
        return frame_json(Kind.ACCOUNT, news)


class Seen:
    """The worker's end."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}
        self._closed: tuple[Any, ...] = ()

    def take(self, body: bytes) -> Account:
        """The account after a frame's news."""
        news = orjson.loads(body)
        self._open |= {view["trade_id"]: view for view in news["open"]}
        self._open = {trade_id: self._open[trade_id] for trade_id in news["order"]}
        closed = (() if news["whole"] else self._closed) + tuple(news["closed"])
        self._closed = closed[len(closed) - news["kept"] :]
        return {
            "figures": news["figures"],
            "locks": news["locks"],
            "open": tuple(self._open.values()),
            "closed": self._closed,
            "closed_count": news["closed_count"],
        }
