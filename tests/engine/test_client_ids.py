"""Our client order ids packed: nothing is lost, and foreign ids are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.client_ids import from_hex, from_text, to_hex, to_text
from engine.order import prefix_of

IDS = st.builds(
    lambda installation, run, pair, trade, intent: f"{prefix_of(installation, run, pair)}t{trade}i{intent}",
    st.text("ABCXYZabcxyz234567", min_size=6, max_size=6),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**20 - 1),
)


@given(IDS)
def test_packing_loses_nothing(client_order_id: str) -> None:
    """Both ways of writing an id give it back, in 32 digits and in 22 characters."""
    digits, text = to_hex(client_order_id), to_text(client_order_id)

    assert (len(digits), len(text)) == (32, 22)
    assert from_hex(digits) == from_text(text) == client_order_id
    assert from_hex(f"{digits[:8]}-{digits[8:12]}-{digits[12:]}") == client_order_id


@given(st.lists(IDS, min_size=2, max_size=2, unique=True))
def test_different_ids_stay_different(ids: list[str]) -> None:
    """No two ids of ours are written alike."""
    first, second = ids

    assert to_hex(first) != to_hex(second)
    assert to_text(first) != to_text(second)


@given(st.text(max_size=40))
def test_what_is_not_ours_stays_as_it_is(foreign: str) -> None:
    """Text of any kind is returned as it came, or is an id that would be written so."""
    assert from_text(foreign) == foreign or to_text(from_text(foreign)) == foreign
    assert from_hex(foreign) == foreign or to_hex(from_hex(foreign)) == foreign.replace("-", "").lower()


@pytest.mark.parametrize("wrong", ["", "my own", "tpABCDEFr65536p00000001t1i1", "tpABCDEFr1p00000001t1i1048576"])
def test_what_does_not_fit_is_refused(wrong: str) -> None:
    """A foreign id, or one that has outgrown 128 bits, is refused rather than cut."""
    with pytest.raises(ValueError, match=r"no client order id of ours|does not fit"):
        to_hex(wrong)
