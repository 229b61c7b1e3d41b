"""How soon what goes wrong with market data is noticed: every time of it, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of the machine's clock.

    A stream without a frame for `silence` is checked by a question; one that was found quiet, not dead, after twice
    the time, up to `silence_max`. `lag` is how much later streams tell of a trade than an answer by REST.
    A stream that ended is opened again after `backoff`, doubled with each failure up to `backoff_max`; one that
    brings nothing within `open` is opened anew. Between two requests on one socket lie `subscribe`.
    A line that was found deaf for one of its pairs is started anew at most every `deaf`.
    A watched pair of which the price line is silent for `price_silence` has its price asked for; while the line is down
    every `price_down`. Markets are read again every `markets`, at most every `doubts` where somebody doubts
    them; a watched pair of which the price line is silent for `halt` is reason to, after twice that again, and so on.
    """

    silence: float = 10.0
    silence_max: float = 160.0
    lag: float = 2.0
    backoff: float = 0.25
    backoff_max: float = 15.0
    open: float = 20.0
    check: float = 0.25
    subscribe: float = 0.25
    questions: float = 0.05
    deaf: float = 60.0
    price_poll: float = 0.5
    price_silence: float = 5.0
    price_down: float = 2.0
    markets: float = 300.0
    doubts: float = 10.0
    halt: float = 30.0
    retry: float = 1.0
    retry_max: float = 15.0


USUAL = Times()
