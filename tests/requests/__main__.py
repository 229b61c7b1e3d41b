"""Writes down what is sent: `python -m tests.requests`. Read what changed before you believe it."""

from __future__ import annotations

from tests.requests.written import FILE, as_text, written

FILE.write_text(as_text(written()), encoding="utf-8")
