"""Whole bots in hostile worlds, one a seed: whatever happens, nothing is lost, doubled, oversold or left alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest
from loguru import logger

from actors.batch.audit import audit
from actors.files import Files
from engine.messages import CensusAnswered, Message, TradesClosed
from engine.types import ZERO, use_money_context
from tests.simulation.checks import fills_of, settled_capital
from tests.simulation.world import World, scene_of

MINUTES = 8


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Crashes are what this is about; their traces would fill the report."""
    use_money_context()
    logger.disable("actors")
    yield
    logger.enable("actors")


def _say(world: World, wrong: list[str], when: str) -> str:
    listed = "\n  ".join(wrong)
    return f"{when}:\n  {listed}\n{world.story()}\nrepeat it: pytest tests/simulation --seed={world.seed}"


def test_a_hostile_world(seed: int, tmp_path: Path) -> None:
    """Chaos first, then quiet: within minutes all books agree, every position is guarded, and all can be left."""
    world = World(seed)
    try:
        world.chaos(MINUTES)
        wrong = world.quiet()
        assert [] == wrong, _say(world, wrong, "not settled after the chaos")
        world.pass_time(2)
        wrong = world.leave()
        assert [] == wrong, _say(world, wrong, "not left")
    except AssertionError as error:
        raise AssertionError(_say(world, [str(error)], "broken")) from None
    assert [] == settled_capital(world), _say(world, settled_capital(world), "capital is gone")
    files = Files.beside(tmp_path / "x.duckdb")
    world.save(files)
    found = [str(difference) for difference in audit(files)]
    assert [] == found, _say(world, found, "the audit disagrees")


def _lose_what_closed(_rng: Random, _sender: str, _to: str, message: Message) -> tuple[int, ...]:
    return () if isinstance(message, TradesClosed | CensusAnswered) else (0,)


def test_several_closed_trades_lost_in_a_row_come_to_the_account() -> None:
    """A pair keeps its closed trades until the portfolio has them on disk: protections look back on every one."""
    world = World(next(seed for seed in count(1) if scene_of(seed).config.protections))
    world.pass_time(1)
    world.runtime.faults = _lose_what_closed
    world.pass_time(8)
    lost = [len(world.trade(pair).unheard) for pair in world.pairs]
    world.runtime.kill("portfolio")

    wrong = world.quiet()

    assert [] == wrong, _say(world, wrong, "not settled")
    assert max(lost) > 1
    assert sum(lost) <= len(world.actor("portfolio").account.closed)


def test_a_seed_repeats_itself() -> None:
    """Equal seeds give equal journals, byte for byte, chaos included: so a failure can be looked at again."""
    texts = []
    for _ in range(2):
        world = World(5)
        world.chaos(3)
        texts.append(world.journal.text())

    assert texts[0] == texts[1]
    assert len(texts[0]) > 1_000


def test_the_world_is_hostile_and_trades() -> None:
    """What is simulated is what it is meant to be: actors die, requests get lost, and there is trading to disturb."""
    worlds = [World(seed) for seed in (5, 22, 28, 51)]
    for world in worlds:
        world.chaos(5)

    assert sum(sum(world.kills.values()) for world in worlds) > 40
    assert sum(world.venue.injected for world in worlds) > 5
    assert sum(world.runs for world in worlds) > 4
    assert sum(len(fills_of(world)) for world in worlds) > 10
    assert sum(world.journal.text().count(b"quoted_at") for world in worlds) > 5
    assert sum(world.venue.amended["Amended"] for world in worlds) > 5
    assert all(world.config.paper.wallet > ZERO for world in worlds)
