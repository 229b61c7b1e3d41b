"""The pages about the machine, about exchanges and about the local one are what these are."""

from __future__ import annotations

import pytest

from engine.denials import MEANING, Denial
from engine.trade import TRADE_TRANSITIONS
from tests.exchange_docs import EXCHANGES_PAGE, exchanges_page
from tests.local_exchange_docs import LOCAL_PAGE, local_page
from tests.machine_docs import DENIALS_PAGE, MACHINE_PAGE, denials_page, machine_page


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (MACHINE_PAGE, machine_page()),
        (DENIALS_PAGE, denials_page()),
        (EXCHANGES_PAGE, exchanges_page()),
        (LOCAL_PAGE, local_page()),
    ],
)
def test_pages_are_current(page: object, text: str) -> None:
    """Each is what `python -m tests.docs` writes."""
    assert text == page.read_text(encoding="utf-8")  # type: ignore[attr-defined]


def test_every_denial_has_a_meaning() -> None:
    """No code reaches a user without its sentence."""
    assert set(Denial) == set(MEANING)


def test_every_row_is_on_the_page() -> None:
    """Nothing of the table is left out, and the comments of the source stand beside their rows."""
    text = machine_page()

    assert [] == [(s, e) for s, e in TRADE_TRANSITIONS if f"| `{s}` | `{e.__name__}` |" not in text]
    assert "a stop at the venue closes the trade" in text
    assert "the fill overtakes the acknowledgement" in text
