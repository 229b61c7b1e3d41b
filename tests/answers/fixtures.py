"""Requests and answers in the form of ccxt's own static tests, `ts/src/test/static` of its repository.

A folder has `response/NAME.json`: by method of ccxt a list of entries with `input`, the exchange's `httpResponse` and what
ccxt is to make of it, `parsedResponse`; `request/NAME.json` likewise with `url` and `output`; `markets/NAME.json` and
`currencies/NAME.json`. Ours are of the same form (`tests/answers/response`), written by hand after the exchanges' documentation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

STATIC: Final = Path("ts", "src", "test", "static")
OURS: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: `said` is the whole of it."""

    exchange: str
    method: str
    said: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """For a person."""
        return f"{self.exchange} {self.method}: {self.said.get('description', '')}"


def static_of(folder: Path) -> Path:
    """The folder with `response` in it: `folder` itself, or the place that it has in a checkout of ccxt."""
    return folder if (folder / "response").is_dir() else folder / STATIC


def read(folder: Path, kind: str, exchange: str) -> Any:
    """One file; None where there is none."""
    path = folder / kind / f"{exchange}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def entries(folder: Path, kind: str, exchange: str) -> Iterator[Entry]:
    """All entries of a file that are meant for Python."""
    told = read(folder, kind, exchange) or {}
    options = told.get("options") or {}
    for method, listed in (told.get("methods") or {}).items():
        for said in listed:
            if not said.get("disabled") and not said.get("disabledPY"):
                yield Entry(exchange, method, said, {**options, **(said.get("options") or {})})
