"""Rounds: capital goes by the stated order, whoever comes first."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from engine.messages import PassTurn, ReserveCapital, RoundJudged
from engine.rounds import KEPT, Granting, Rounds
from engine.types import Side

D = Decimal
ORDER = {"A": 0, "B": 1, "C": 2}


def ask(pair: str, ts: int = 1, score: float = 0.0, **more: bool) -> ReserveCapital:
    """A pair's question."""
    return ReserveCapital(
        request_id=f"{pair}{ts}",
        pair=pair,
        side=Side.LONG,
        price=D(1),
        round_ts=ts,
        stake_min=D(0),
        stake_max=None,
        score=score,
        **more,
    )


def judged(*wishes: str, judge: str = "judge:0", ts: int = 1) -> RoundJudged:
    """A judge's report."""
    return RoundJudged(judge=judge, ts=ts, wishes=wishes, judged=3)


def pairs(granting: Granting | None) -> list[str] | None:
    """Who is granted to, in order."""
    return None if granting is None else [a.pair for a in granting.asks]


def test_granted_in_the_order_of_the_pairs_when_all_are_there() -> None:
    """The last to be heard of completes the round, be it a pair or a judge."""
    rounds = Rounds(["judge:0", "judge:1"], ORDER)

    assert rounds.judged(judged("C", "A")) is None
    assert rounds.asked(ask("C")) is None
    assert rounds.asked(ask("A")) is None
    assert ["A", "C"] == pairs(rounds.judged(judged(judge="judge:1")))
    assert [] == rounds.waiting()


def test_by_score() -> None:
    """The highest score first; equals in the order of the pairs."""
    rounds = Rounds(["judge:0"], ORDER, by_score=True)
    rounds.judged(judged("A", "B", "C"))
    rounds.asked(ask("A", score=1))
    rounds.asked(ask("C", score=2))

    assert ["C", "A", "B"] == pairs(rounds.asked(ask("B", score=1)))


def test_who_passes_is_not_waited_for() -> None:
    """A pair that wished and then does not ask says so."""
    rounds = Rounds(["judge:0"], ORDER)
    rounds.judged(judged("A", "B"))
    rounds.asked(ask("B"))

    assert ["B"] == pairs(rounds.passed(PassTurn(pair="A", round_ts=1)))


def test_a_deadline_grants_to_those_present_and_names_the_missing() -> None:
    """A late pair has a round of its own; the deadline of a round that is over means nothing."""
    rounds = Rounds(["judge:0"], ORDER)
    rounds.judged(judged("A", "B"))
    rounds.asked(ask("B"))
    granting = rounds.over(1)

    assert granting is not None
    assert (["B"], ("A",)) == (pairs(granting), granting.missing)
    assert ["A"] == pairs(rounds.asked(ask("A")))
    assert rounds.over(1) is None
    assert rounds.over(99) is None


def test_a_judge_that_does_not_report_does_not_block() -> None:
    """The deadline holds without its report."""
    rounds = Rounds(["judge:0", "judge:1"], ORDER)
    rounds.judged(judged("A"))
    rounds.asked(ask("A"))

    assert [1] == rounds.waiting()
    assert ["A"] == pairs(rounds.over(1))


def test_what_is_forced_or_added_does_not_wait() -> None:
    """A user's entry and a further entry of an open trade are granted at once."""
    rounds = Rounds(["judge:0"], ORDER)

    assert ["A"] == pairs(rounds.asked(ask("A", forced=True)))
    assert ["B"] == pairs(rounds.asked(ask("B", adding=True)))


def test_a_question_asked_again_counts_once() -> None:
    """A repetition before the grant replaces, one after it is answered alone."""
    rounds = Rounds(["judge:0"], ORDER)
    rounds.asked(ask("A"))
    rounds.asked(ask("A"))

    assert ["A"] == pairs(rounds.judged(judged("A")))
    assert ["A"] == pairs(rounds.asked(ask("A")))


def test_old_rounds_are_forgotten() -> None:
    """Memory is bounded: only the newest rounds are kept, however many candles pass."""
    rounds = Rounds(["judge:0"], ORDER)
    for ts in range(1, 100):
        rounds.judged(judged("A", ts=ts))
        rounds.asked(ask("A", ts))

    assert len(rounds._rounds) <= KEPT + 1


@given(st.permutations(["judge:0", "judge:1", "A", "B", "C"]))
def test_the_order_of_arrival_does_not_matter(arrivals: list[str]) -> None:
    """Whatever overtakes whatever: one grant, of the same pairs in the same order."""
    rounds = Rounds(["judge:0", "judge:1"], ORDER)
    reports = {"judge:0": judged("A", "B"), "judge:1": judged("C", judge="judge:1")}
    grants = [rounds.judged(reports[who]) if who in reports else rounds.asked(ask(who)) for who in arrivals]

    assert [["A", "B", "C"]] == [pairs(g) for g in grants if g is not None]
