"""The arithmetic of restarts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.restart import Backoff, RestartHistory, RestartPolicy, ended, recovered, started

POLICY = RestartPolicy(intensity=3, period_ms=10_000, backoff=Backoff(first_ms=100, factor=2, cap_ms=5_000))


def crash_loop(policy: RestartPolicy, times: int, lives_ms: int = 1) -> list[tuple[int, bool]]:
    """Delay and `exceeded` of each end of a child that lives `lives_ms` each time."""
    history, now, answers = started(RestartHistory(), 0), 0, []
    for _ in range(times):
        now += lives_ms
        history, restart = ended(policy, history, now)
        answers.append((restart.delay_ms, restart.exceeded))
        now += restart.delay_ms
        history = started(history, now)
    return answers


def test_waits_double_up_to_the_cap() -> None:
    """Each end in a row doubles the wait, and the cap holds it."""
    assert [delay for delay, _ in crash_loop(POLICY, 8)] == [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]


def test_intensity_counts_ends_within_the_period() -> None:
    """As many ends as the intensity are allowed in the period; the next one is too much."""
    assert [exceeded for _, exceeded in crash_loop(POLICY, 4)] == [False, False, False, True]


def test_exceeded_stays_while_waits_are_longer_than_the_period() -> None:
    """A child that always crashes does not look healthy because it is started seldom."""
    policy = RestartPolicy(intensity=3, period_ms=10_000, backoff=Backoff(first_ms=100, cap_ms=60_000))

    answers = crash_loop(policy, 20)

    assert answers[-1] == (60_000, True)
    assert all(exceeded for _, exceeded in answers[3:])


def test_a_full_period_of_life_forgets_everything() -> None:
    """After living for the period the next end counts as the first."""
    history = started(RestartHistory(), 0)
    for now in (1, 2, 3, 4):
        history, restart = ended(POLICY, history, now)
    assert restart.exceeded
    history = started(history, 1_000)

    assert recovered(POLICY, history, 11_000)
    _, restart = ended(POLICY, history, 11_000)

    assert (restart.delay_ms, restart.exceeded) == (100, False)


def test_no_intensity_means_no_restart_is_allowed() -> None:
    """With an intensity of 0 the first end is too much already."""
    assert crash_loop(RestartPolicy(intensity=0), 1) == [(100, True)]


def test_a_long_streak_stays_within_the_cap() -> None:
    """The wait of the millionth end in a row is still the cap, at no cost."""
    assert Backoff().delay_ms(1_000_000) == 60_000


@given(st.lists(st.integers(0, 20_000), max_size=60), st.integers(0, 6))
def test_memory_is_bounded(lives_ms: list[int], intensity: int) -> None:
    """However long a child crashes, no more ends are remembered than the intensity needs."""
    policy = RestartPolicy(intensity=intensity, period_ms=10_000)
    history, now = started(RestartHistory(), 0), 0
    for life in lives_ms:
        now += life
        history, restart = ended(policy, history, now)
        assert len(history.ends_ms) <= intensity + 1
        assert 0 < restart.delay_ms <= policy.backoff.cap_ms
