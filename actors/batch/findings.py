"""What an audit has found: differences, each a sentence under a key, and notes that are none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Difference:
    """Two records that do not agree: which kind, where, and both values in a sentence.

    A difference found twice has the same kind and place, though its values may have gone on.
    """

    kind: str
    place: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by when it is found again."""
        return self.kind, self.place

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Findings:
    """Collects them, each once."""

    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def differ(self, kind: str, place: str, text: str) -> None:
        """Add a difference unless it was found already."""
        self.differences.setdefault((kind, place), Difference(kind, place, text))

    def note(self, text: str) -> None:
        """Add what should be known and is no difference."""
        self.notes[text] = None

    def count(self, text: str) -> None:
        """Add to the number of things that one note tells of together."""
        self.counts[text] = self.counts.get(text, 0) + 1

    def keep(self, keys: Iterable[tuple[str, str]]) -> None:
        """Drop every difference that is not among `keys`."""
        wanted = set(keys)
        self.differences = {key: found for key, found in self.differences.items() if key in wanted}
