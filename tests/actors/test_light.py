"""TA-Lib is imported without pandas, and takes and gives pandas' objects all the same once somebody has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LIGHT = "import sys, numpy as np\nfrom actors.judging.light import import_lightly\nimport_lightly()\nimport talib\n"


def said(code: str) -> list[str]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", LIGHT + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_pandas_is_not_loaded() -> None:
    """Arrays in, arrays out; pandas stays away, and the finder has gone after its work."""
    code = (
        "import talib.abstract as ta\n"
        "print(talib.EMA(np.arange(30.0), 5)[-1], ta.EMA({'close': np.arange(30.0)}, timeperiod=5)[-1])\n"
        "print('pandas' in sys.modules, [f for f in sys.meta_path if type(f).__name__ == '_Finder'])\n"
    )
    assert ["27.0", "27.0", "False", "[]"] == said(code)


def test_a_strategy_that_uses_pandas() -> None:
    """Series and frames in, series and frames out, though TA-Lib was there first."""
    pytest.importorskip("pandas")
    code = (
        "import pandas as pd, talib.abstract as ta\n"
        "frame = pd.DataFrame({'close': np.arange(60.0)})\n"
        "found = talib.EMA(frame['close'], 5), ta.EMA(frame, timeperiod=5), ta.MACD(frame)\n"
        "print(*(type(value).__name__ for value in found), found[0].iloc[-1])\n"
    )
    assert ["Series", "Series", "DataFrame", "57.0"] == said(code)
