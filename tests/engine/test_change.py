"""Changed copies of frozen values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from engine.change import changed
from engine.position import Position
from engine.types import ONE, Side


@dataclass(frozen=True)
class Value:
    """Something to copy; its first field is named as the function's own argument is."""

    value: int
    text: str = ""


def test_a_changed_copy_is_what_replace_makes() -> None:
    """A copy equals the one of `dataclasses.replace`, hashes alike, and leaves the original as it was."""
    before = Value(1, "a")
    after = changed(before, value=2)
    assert after == replace(before, value=2)
    assert hash(after) == hash(replace(before, value=2))
    assert before == Value(1, "a")


def test_a_position_can_be_changed_in_any_field() -> None:
    """A field called `value`, as positions have one, is a field like the others."""
    assert changed(Position(), value=ONE, side=Side.SHORT) == Position(value=ONE, side=Side.SHORT)


def test_a_name_that_is_no_field_is_refused() -> None:
    """A misspelt field does not get lost in the copy."""
    with pytest.raises(TypeError, match="a Value has no txt"):
        changed(Value(1), txt="b")
