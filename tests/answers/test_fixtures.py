"""The comparison with ccxt's own tests, on a folder in their form: what agrees, what differs, what is in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.answers.fixtures import OURS, STATIC, entries
from tests.bots import Failed
from tests.showing import live_fixtures


def checkout(folder: Path, kind: str, exchange: str, methods: dict[str, Any]) -> Path:
    """A folder like a checkout of ccxt, with one file."""
    place = folder / STATIC / kind
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{exchange}.json").write_text(json.dumps({"exchange": exchange, "methods": methods}), encoding="utf-8")
    return folder


def answers(exchange: str) -> dict[str, Any]:
    """Our own answers of an exchange, to be spoilt."""
    found: dict[str, Any] = {}
    for entry in entries(OURS, "response", exchange):
        found.setdefault(entry.method, []).append(dict(entry.said))
    return found


def test_answers_in_ccxts_form_are_played(tmp_path: Path) -> None:
    """A checkout's answers and requests are found in their place, and those that agree are counted."""
    checkout(tmp_path, "response", "mexc", answers("mexc"))
    asked = {
        "url": "https://api.mexc.com/api/v3/order?symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=2",
        "output": None,
    }
    checkout(tmp_path, "request", "mexc", {"createOrder": [{**asked, "input": ["BTC/USDT", "limit", "buy", 1, 2]}]})

    told = live_fixtures.show(tmp_path, quick=True, ccxt=tmp_path)

    assert told.startswith("5 answers (mexc 5)")
    assert "7 requests like ccxt's own, 5 that its tests have no like of" in told


def test_another_amount_is_a_failure(tmp_path: Path) -> None:
    """What was read as something else than ccxt's test says is named, with both."""
    spoilt = answers("mexc")
    spoilt["fetchMyTrades"][0]["parsedResponse"][0]["amount"] = 5
    checkout(tmp_path, "response", "mexc", spoilt)

    with pytest.raises(Failed, match=r"mexc fetchMyTrades: spot: amount is 5, and was read as 0\.005"):
        live_fixtures.show(tmp_path, quick=True, ccxt=tmp_path)


def test_a_request_of_another_look_is_a_failure(tmp_path: Path) -> None:
    """A field that is a number there and a word here is named."""
    checkout(tmp_path, "response", "mexc", answers("mexc"))
    asked = {"url": "https://api.mexc.com/api/v3/order?quantity=much", "input": ["BTC/USDT", "limit", "buy", 1, 2]}
    checkout(tmp_path, "request", "mexc", {"createOrder": [asked]})

    with pytest.raises(Failed, match=r"mexc spot limit buy: quantity is 0\.02, where ccxt's tests have a word"):
        live_fixtures.show(tmp_path, quick=True, ccxt=tmp_path)


def test_a_folder_without_answers_is_said(tmp_path: Path) -> None:
    """Somebody's wrong folder is not taken for one in which all agrees."""
    with pytest.raises(Failed, match="no answers in "):
        live_fixtures.show(tmp_path, quick=True, ccxt=tmp_path)
