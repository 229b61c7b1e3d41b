"""What the built-in market trades: coins with their usual prices, and made-up ones after those."""

from __future__ import annotations

from typing import Final

COINS: Final[tuple[tuple[str, float], ...]] = (
    ("BTC", 60_000.0),
    ("ETH", 3_000.0),
    ("SOL", 150.0),
    ("XRP", 0.6),
    ("BNB", 580.0),
    ("DOGE", 0.12),
    ("ADA", 0.45),
    ("TRX", 0.13),
    ("AVAX", 28.0),
    ("LINK", 14.0),
    ("DOT", 6.0),
    ("LTC", 80.0),
    ("BCH", 400.0),
    ("NEAR", 5.0),
    ("UNI", 8.0),
    ("ICP", 9.0),
    ("ETC", 22.0),
    ("XLM", 0.1),
    ("ATOM", 6.5),
    ("FIL", 4.5),
    ("HBAR", 0.07),
    ("APT", 8.5),
    ("ARB", 0.8),
    ("VET", 0.025),
    ("OP", 1.8),
    ("INJ", 22.0),
    ("AAVE", 110.0),
    ("GRT", 0.2),
    ("ALGO", 0.15),
    ("XMR", 165.0),
    ("DASH", 28.0),
    ("ZEC", 30.0),
    ("EOS", 0.6),
    ("XTZ", 0.8),
    ("THETA", 1.5),
    ("SAND", 0.33),
    ("MANA", 0.35),
    ("AXS", 6.0),
    ("CHZ", 0.075),
    ("CRV", 0.3),
    ("SNX", 1.7),
    ("COMP", 50.0),
    ("ZIL", 0.018),
    ("ENJ", 0.17),
    ("BAT", 0.19),
    ("QTUM", 2.7),
    ("ZRX", 0.36),
    ("IOTA", 0.16),
    ("NEO", 11.0),
    ("KSM", 22.0),
    ("YFI", 5_800.0),
    ("RVN", 0.018),
    ("ONE", 0.014),
    ("HOT", 0.0018),
    ("SUSHI", 0.7),
    ("ANKR", 0.028),
    ("SKL", 0.045),
    ("STORJ", 0.4),
    ("KNC", 0.55),
    ("SHIB", 0.00018),
)
"""Well-known coins first: (name, about how many US dollars one was worth)."""

_CONSONANTS: Final = "BCDFGKLMNPRSTVXZ"
_VOWELS: Final = "AEIOU"
_SHAPES: Final = len(_CONSONANTS) * len(_VOWELS) * len(_CONSONANTS)
_STRIDE: Final = 517  # prime to _SHAPES, so all are passed, and neighbours look different


def coin_names(count: int, besides: str = "") -> list[str]:
    """`count` different coin names, the same ones for every count; `besides` (the quote) is left out."""
    names = [name for name, _ in COINS if name != besides]
    known = {*names, besides}
    number = 0
    while len(names) < count:
        name = _made_up(number)
        number += 1
        if name not in known:
            names.append(name)
    return names[:count]


def _made_up(number: int) -> str:
    """Three letters that can be spoken, then four, and so on; never one twice."""
    more, shape = divmod(number, _SHAPES)
    shape = shape * _STRIDE % _SHAPES
    shape, last = divmod(shape, len(_CONSONANTS))
    first, vowel = divmod(shape, len(_VOWELS))
    name = _CONSONANTS[first] + _VOWELS[vowel] + _CONSONANTS[last]
    while more:
        more, letter = divmod(more - 1, len(_VOWELS))
        name += _VOWELS[letter]
    return name
