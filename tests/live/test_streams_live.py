"""What goes silent, breaks or dies around a bot that holds positions, in short: `python -m tests.show live streams` shows all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.showing.live_streams import show


@pytest.mark.timeout(580)
def test_streams_and_actors_that_die_are_noticed_and_healed(tmp_path: Path) -> None:
    """Lost events, a closed socket, a killed gateway and feed: each within its bound, and the books agree."""
    assert "books and audit equal" in show(tmp_path, quick=True)
