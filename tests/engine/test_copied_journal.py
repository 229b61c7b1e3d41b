"""Orders with this installation's ids that its journal does not know: what the user is told of them."""

from __future__ import annotations

from engine.actions import Alarm
from engine.types import use_money_context
from tests.scenarios.runner import START, Player, Scenario


def test_unknown_orders_of_ours_are_told_with_what_may_have_made_them() -> None:
    """A second bot on a copy of the database makes the same ids: the alarm names that, and an older journal, as its causes."""
    use_money_context()
    player = Player(Scenario("copy"))
    event = player._on_snapshot(["r1t1i1=NEW:buy:limit:10@99"], START)
    (alarm,) = [action for action in player.step(event, START).actions if isinstance(action, Alarm)]

    assert alarm.event == "recovered"
    assert "1 order(s) at the venue have this installation's ids, and its journal does not know them" in alarm.text
    assert "another bot runs on a copy of this database, or this journal is an older copy" in alarm.text
    assert "taken over; 0 held" in alarm.text
