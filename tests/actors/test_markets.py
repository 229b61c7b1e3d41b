"""`markets.json` beside the candles: what they cannot tell of their markets."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from actors.batch.markets import read_markets
from engine.errors import DataError


def test_what_the_file_says(tmp_path: Path) -> None:
    """Steps and bounds by pair, as the decimals that are written; other names are not read; no file says nothing."""
    assert {} == read_markets(tmp_path)
    (tmp_path / "markets.json").write_text('{"A/B": {"price": 1e-06, "amount": 0.1, "cost_min": 5, "first": "x"}}')

    expected = {"price_step": Decimal("0.000001"), "amount_step": Decimal("0.1"), "cost_min": Decimal(5)}
    assert {"A/B": expected} == read_markets(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[1]", "must be an object of objects"),
        ('{"A/B": {"amount": -1}}', "amount of A/B is -1"),
        ('{"A/B": {"amount": "one"}}', "amount of A/B is 'one'"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """The text names the file, the pair and the value."""
    (tmp_path / "markets.json").write_text(text)

    with pytest.raises(DataError, match=r"markets\.json") as caught:
        read_markets(tmp_path)
    assert said in str(caught.value)
