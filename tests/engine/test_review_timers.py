"""Timers that are lost or come too early are set again: nothing waits for ever because of one."""

from __future__ import annotations

from engine.actions import SetTimer
from engine.messages import Message, TimerFired
from engine.types import TradeState, use_money_context
from tests.scenarios.runner import START, Player, Scenario


def a_player(**settings: object) -> Player:
    use_money_context()
    return Player(Scenario("timers", settings=settings))


def timers(player: Player, event: Message, seconds: int) -> dict[str, int]:
    """The timers that one event sets, and their delays in seconds."""
    actions = player.step(event, START + seconds * 1_000).actions
    return {a.name: a.delay_ms // 1_000 for a in actions if isinstance(a, SetTimer)}


def snapshot(player: Player, text: str, seconds: int) -> Message:
    return player._event("snapshot", text.split(), START + seconds * 1_000)


def test_an_unfilled_timer_that_is_early_is_set_again() -> None:
    """A timer may be rounded; the order is given up all the same when its time is over."""
    player = a_player(entry_timeout_ms=600_000)
    for row in ("signal enter_long 100", "granted 1000", "accepted i1"):
        player.play("0", row)

    assert timers(player, TimerFired(name="unfilled"), 599) == {"unfilled": 1}
    assert timers(player, TimerFired(name="unfilled"), 600) == {}


def test_an_order_whose_acceptance_was_lost_is_given_up_in_time_too() -> None:
    """A snapshot shows it partly filled and working: from then on its time is watched."""
    player = a_player(entry_timeout_ms=600_000)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 4 @ 100"):
        player.play("0", row)

    assert timers(player, snapshot(player, "i1=PARTIALLY_FILLED/4", 10), 10)["unfilled"] == 590


def test_a_refused_stop_is_tried_again_after_a_restart() -> None:
    """The wait for the next attempt goes on in the next incarnation, with or without a price."""
    player = a_player(stop_on_venue=True)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100", "rejected i2 REFUSED"):
        player.play("0", row)
    player.play("10", "restart")

    waits = timers(player, snapshot(player, "i1=FILLED/10", 20), 20)

    assert player.trade.state is TradeState.OPEN
    assert waits["pursue"] == 40
    assert "place" in player.play("60", "timer pursue")


def test_the_grace_of_a_stop_and_the_next_attempt_do_not_replace_each_other() -> None:
    """The price is at the stop, which the exchange triggers and expires: we leave when the grace is over, not a minute later."""
    player = a_player(stop_on_venue=True)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100", "accepted i2"):
        player.play("0", row)

    touched = timers(player, player._event("price", ["89"], START + 10_000), 10)
    refused = timers(player, player._event("canceled", ["i2", "expired"], START + 11_000), 11)

    assert (touched, refused) == ({"grace": 5}, {"pursue": 49})
    assert "stop_loss traded" in player.play("15", "timer grace")


def test_a_retry_and_a_grace_that_come_early_are_waited_for() -> None:
    """The exchange's time may be set back: the stop is tried again, and the position left, when it is time all the same."""
    player = a_player(stop_on_venue=True)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100", "rejected i2 REFUSED"):
        player.play("0", row)
    early = timers(player, TimerFired(name="pursue"), 59)
    placed = player.play("60", "timer pursue")
    player.play("60", "accepted i3")
    player.play("70", "price 89")

    assert early == {"pursue": 1}
    assert "place" in placed
    assert timers(player, TimerFired(name="grace"), 74) == {"grace": 1}
    assert "stop_loss" in player.play("75", "timer grace")


def test_a_grace_goes_on_after_a_restart() -> None:
    """The exchange's stop has the rest of its time in the next incarnation; a timer of an older run's name serves, too."""
    player = a_player(stop_on_venue=True)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100", "accepted i2"):
        player.play("0", row)
    player.play("10", "price 89")
    player.play("11", "restart")

    waits = timers(player, snapshot(player, "i1=FILLED/10 i2=NEW", 12), 12)

    assert waits["grace"] == 3
    assert "stop_loss traded" in player.play("15", "timer pursue")


def test_a_stop_that_is_too_young_to_follow_is_looked_at_when_it_may() -> None:
    """Nothing else may tell in a quiet market; a timer that comes early is set again."""
    player = a_player(stop_on_venue=True, trailing_stop=True, stop_interval_ms=60_000)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100", "accepted i2"):
        player.play("0", row)

    assert timers(player, player._event("price", ["110"], START + 30_000), 30) == {"move_stop": 30}
    assert timers(player, TimerFired(name="move_stop"), 59) == {"move_stop": 1}
    assert "cancel i2" in player.play("60", "timer move_stop")


def test_a_doubt_without_a_stop_is_looked_into_sooner() -> None:
    """While no stop is known to stand the next look comes after half a second, and then each second."""
    player = a_player(stop_on_venue=True)
    for row in ("signal enter_long 100", "granted 1000", "filled i1 10 @ 100"):
        player.play("0", row)

    assert timers(player, player._event("doubt", ["i2"], START), 0) == {"look_up": 0}
    assert timers(player, snapshot(player, "i1=FILLED/10 unknown=i2 open", 2), 2) == {"look_up": 1}
