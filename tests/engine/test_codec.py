"""`engine.codec`: what is recorded reads back equal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.codec import from_plain, to_plain
from engine.errors import StorageError
from engine.messages import Entry, Record, TradeClosed
from engine.order import Fill, Order
from engine.types import OrderSide, OrderStatus, OrderType, Purpose, Side, TradeState

D = Decimal


@dataclass(frozen=True, slots=True)
class Leaf:
    name: str
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    until: int


@dataclass(frozen=True, slots=True)
class Go:
    rate: Decimal


class Step:
    """A base that is no dataclass itself."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Up(Step):
    by: Decimal


@dataclass(frozen=True, slots=True)
class Down(Step):
    to: Leaf


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Every kind of annotation that states are made of."""

    leaf: Leaf
    maybe: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[str, Decimal] = ("", D(0))
    rows: tuple[tuple[str, Decimal], ...] = ()
    listed: list[Decimal] = field(default_factory=list)
    by_side: Mapping[Side, Decimal] = field(default_factory=dict)
    by_number: dict[int, Leaf] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    next: Wait | Go | None = None
    stake: Decimal | str = ""
    step: Step | None = None
    level: Level = Level.LOW
    word: Literal["a", "b"] = "a"
    anything: Any = None
    child: Tree | None = None
    ratio: float = 0.0
    flag: bool = False


FULL = Tree(
    leaf=Leaf("a", D("1.50")),
    maybe=Leaf("b"),
    leaves=(Leaf("c", D("0")), Leaf("d", D("-1E-18"))),
    pair=("x", D("3")),
    rows=(("y", D("4.00")),),
    listed=[D("1"), D("2.0")],
    by_side={Side.LONG: D("1")},
    by_number={7: Leaf("seven")},
    tags=frozenset({"z", "w"}),
    next=Go(D("9.9")),
    stake=D("10"),
    step=Down(Leaf("down", D("2"))),
    level=Level.HIGH,
    anything={"k": [1, "2", None]},
    child=Tree(leaf=Leaf("inner"), stake="5%", next=Wait(5), step=Up(D("1"))),
    ratio=0.1,
    flag=True,
)


def test_round_trip_through_json() -> None:
    """Every kind of field survives a trip through JSON, exponents and trailing zeros included."""
    restored = from_plain(Tree, json.loads(json.dumps(to_plain(FULL))))

    assert restored == FULL
    assert str(restored.leaf.amount) == "1.50"
    assert type(restored.tags) is frozenset


def test_equal_values_have_equal_bytes() -> None:
    """Sets are written in a stated order, so that equal states give equal journals."""
    one = dataclasses.replace(FULL, tags=frozenset(["p", "q", "r"]))
    two = dataclasses.replace(FULL, tags=frozenset(["r", "q", "p"]))

    assert json.dumps(to_plain(one)) == json.dumps(to_plain(two))


@pytest.mark.parametrize(
    "value",
    [
        Fill(fill_id="f", client_order_id="c", ts=1, price=D("1.1"), amount=D("2"), fee=D("0.01"), fee_currency="USDT"),
        Entry(kind="K", ts=1, body={"a": "1"}),
        Record(writer="pair:A/B", seq=3, entries=(Entry(kind="K", ts=1, body={}),), state={"s": [1]}),
    ],
)
def test_engine_classes(value: Any) -> None:
    """The engine's own dataclasses need no help from the codec."""
    assert from_plain(type(value), to_plain(value)) == value


def test_older_states_take_defaults() -> None:
    """A field that was added since takes its default."""
    assert from_plain(Leaf, {"name": "a"}) == Leaf("a")


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"name": "a", "colour": "red"}, "no colour"),
        ({"amount": "1"}, "needs name"),
        ({"name": "a", "amount": "one"}, "InvalidOperation"),
        ({"name": "a", "amount": 1.5}, "not a decimal"),
        (None, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(plain: Any, words: str) -> None:
    """A state that this version cannot read is refused with a sentence, never guessed at."""
    with pytest.raises(StorageError, match=words):
        from_plain(Leaf, plain)


def test_unknown_enum_value_is_refused() -> None:
    """An enumeration's value that is not known is refused."""
    with pytest.raises(StorageError, match="SIDEWAYS"):
        from_plain(TradeState, "SIDEWAYS")


def test_what_has_no_plain_form_is_refused() -> None:
    """An object that nobody taught the codec raises instead of being written as its address."""
    with pytest.raises(TypeError, match="no plain form"):
        to_plain(object())


@settings(max_examples=100, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**15), max_value=10**15),
    st.sampled_from(Side),
    st.integers(),
    st.text(max_size=20),
)
def test_any_closed_trade_survives(value: Decimal, side: Side, ts: int, tag: str) -> None:
    """A closed trade of any figures reads back equal to the digit."""
    numbers = {f.name: value for f in dataclasses.fields(TradeClosed) if f.type == "Decimal"}
    closed = TradeClosed(
        pair="A/B",
        trade_id="t",
        side=side,
        open_ts=ts,
        close_ts=ts,
        exit_reason=tag,
        enter_tag=tag,
        fees=(("USDT", value),),
        **numbers,
    )

    restored = from_plain(TradeClosed, json.loads(json.dumps(to_plain(closed))))

    assert restored == closed
    assert str(restored.amount) == str(value)


def test_orders_survive() -> None:
    """An order reads back with its enumerations as members, not as strings."""
    order = Order(
        client_order_id="c",
        pair="A/B",
        purpose=Purpose.ENTRY,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        amount=D("1"),
        price=D("2.5"),
        created_at=1,
        status=OrderStatus.NEW,
    )

    restored = from_plain(Order, to_plain(order))

    assert restored == order
    assert restored.status is OrderStatus.NEW
