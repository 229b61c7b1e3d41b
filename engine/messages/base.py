"""What all messages are."""

from __future__ import annotations

from typing import Any

Plain = Any
"""A JSON-able value: str, int, float, bool, None, list or dict of such."""


class Message:
    """Base of everything that is told."""

    __slots__ = ()
