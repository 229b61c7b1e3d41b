"""What the words of a command line stand for: durations, lists of pairs, whole numbers, periods."""

from __future__ import annotations

import argparse
import re
from typing import Final

PERIODS: Final = ("day", "week", "month", "year")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str) -> float:
    """Seconds of a duration such as 90s, 5m, 2h, 1d, or 1h30m; a bare number is seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    elif parts and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    else:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 5m or 2h")
    if not 0 < seconds <= 10 * 365 * 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0 and at most ten years")
    return seconds


def pair_list(text: str) -> tuple[str, ...]:
    """The pairs of `A,B,C`."""
    pairs = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    if not pairs:
        raise argparse.ArgumentTypeError("give at least one pair, such as ETH/BTC,LTC/BTC")
    return pairs


def positive(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above 0")
    return int(text)


def lengths(text: str) -> tuple[int, ...]:
    """The whole numbers of `N,N,N`."""
    return tuple(positive(part.strip()) for part in text.split(","))


def periods_list(text: str) -> tuple[str, ...]:
    """The periods of `day,week`."""
    found = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for period in found:
        if period not in PERIODS:
            raise argparse.ArgumentTypeError(f"{period!r} is no period; write some of {','.join(PERIODS)}")
    return found


def names(text: str) -> tuple[str, ...]:
    """The words of `a,b,c`."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError("give at least one name")
    return found


def two_durations(text: str) -> tuple[int, int]:
    """Two durations such as `30d,10d`, in milliseconds."""
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be two durations: 30d,10d")
    return round(duration(parts[0]) * 1_000), round(duration(parts[1]) * 1_000)
