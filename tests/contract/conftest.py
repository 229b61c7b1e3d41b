"""What most tests of the venues have: a local exchange for each file, and a desk at a fresh account of it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.desk import Desk, at_desk, fresh, quiet_exchange
from tests.exchange.client import Exchange


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """Spot, whose prices move when told."""
    with quiet_exchange() as there:
        yield there


@pytest.fixture
def desk(request: pytest.FixtureRequest, exchange: Exchange) -> Iterator[Desk]:
    """A desk at a fresh account, listening to its stream."""
    with at_desk(fresh(exchange, request.node.name)) as made:
        yield made
