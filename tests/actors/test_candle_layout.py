"""Our layout of candle files: where they lie, what is in them, and that plain DuckDB reads them."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from actors.batch.candle_files import origin_of, write_parquet
from actors.batch.catalog import CANDLES, FUNDING, MARK, path_of
from actors.batch.data import available, load_candles, load_funding, load_marks
from engine.candles import Candle
from engine.errors import DataError, StorageError
from tests.actors.test_data import CANDLES as WANTED
from tests.actors.test_data import ROWS, STEP, T, csv_text, write_feather

PAIR = "ETH/USDT:USDT"
TS = np.array([row[0] for row in ROWS])
COLUMNS = tuple(np.array([row[i] for row in ROWS]) for i in range(1, 6))


def written(folder: Path, exchange: str = "binance", pair: str = PAIR) -> Path:
    """The six rows in our layout."""
    path = path_of(folder, exchange, CANDLES, pair, "5m")
    write_parquet(path, CANDLES, TS, COLUMNS, "a test")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """From the root, the exchange's folder or the file itself: the same candles."""
    path = written(tmp_path)

    for folder in (tmp_path, tmp_path / "exchange=binance", path):
        assert list(load_candles(folder, [PAIR], "5m")[PAIR]) == WANTED
    assert [(f.exchange, f.kind, f.pair, f.timeframe, f.rows) for f in available(tmp_path)] == [
        ("binance", CANDLES, PAIR, "5m", 6)
    ]


def test_duckdb_reads_it_with_its_pair_and_timeframe(tmp_path: Path) -> None:
    """A glob of `read_parquet` gives exchange, pair and timeframe as columns, and times as times."""
    written(tmp_path)
    written(tmp_path, pair="ADA/BTC")
    query = (
        "SELECT exchange, kind, pair, timeframe, count(*), epoch_ms(min(ts)), max(high)"
        f" FROM read_parquet('{tmp_path}/**/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY pair"
    )

    assert duckdb.sql(query).fetchall() == [
        ("binance", "candles", pair, "5m", 6, T, 17.0) for pair in ("ADA/BTC", PAIR)
    ]


def test_what_duckdb_partitions_itself_is_read(tmp_path: Path) -> None:
    """DuckDB's own `PARTITION_BY` makes the same layout, decimals and all."""
    duckdb.sql(
        "COPY (SELECT 'kraken' AS exchange, 'candles' AS kind, 'ETH/BTC' AS pair, '5m' AS timeframe,"
        f" make_timestamp({T} * 1000) AS ts, 10.5 AS open, 12 AS high, 9.5 AS low, 11 AS close, 0 AS volume)"
        f" TO '{tmp_path}/c' (FORMAT parquet, PARTITION_BY (exchange, kind, pair, timeframe))"
    )

    assert list(load_candles(tmp_path / "c", ["ETH/BTC"], "5m")["ETH/BTC"]) == [Candle(T, 10.5, 12, 9.5, 11, 0)]


def test_of_two_exchanges_one_has_to_be_said(tmp_path: Path) -> None:
    """Candles of two exchanges differ: the folder of one is what to give."""
    written(tmp_path)
    written(tmp_path, "kraken")
    with pytest.raises(DataError, match="several times: in binance, kraken"):
        load_candles(tmp_path, [PAIR], "5m")

    assert len(load_candles(tmp_path / "exchange=kraken", [PAIR], "5m")[PAIR]) == 6


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    """Where a folder's place is taken the sentence names the file; nothing is left beside it."""
    (tmp_path / "exchange=binance").write_text("in the way")
    with pytest.raises(StorageError, match=r"candles\.parquet cannot be written"):
        written(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["exchange=binance"]


def test_a_file_knows_what_it_was_made_of(tmp_path: Path) -> None:
    """The origin is kept in the file; where there is none, or no file, it is empty."""
    assert origin_of(written(tmp_path)) == "a test"
    assert origin_of(tmp_path / "nowhere") == ""


def test_mark_prices_of_both_layouts(tmp_path: Path) -> None:
    """Ours has no volume; in Freqtrade's, what stands there does not matter. Without a timeframe: the shortest."""
    (tmp_path / "ft" / "futures").mkdir(parents=True)
    marks = [(*row[:5], None) for row in ROWS]
    write_feather(tmp_path / "ft" / "futures" / "ETH_USDT_USDT-5m-mark.feather", marks)
    write_parquet(path_of(tmp_path / "own", "x", MARK, PAIR, "5m"), MARK, TS, COLUMNS)

    for folder in ("ft", "own"):
        found = load_marks(tmp_path / folder, [PAIR])[PAIR]
        assert list(found) == [candle._replace(volume=0.0) for candle in WANTED]
        assert found.timeframe == "5m"
    with pytest.raises(DataError, match=r"no candles of 5m .*; there is no candle file\."):
        load_candles(tmp_path / "own", [PAIR], "5m")


def test_funding_rates_of_all_layouts(tmp_path: Path) -> None:
    """Ours and CSV have a rate, Freqtrade's files have it as the open; they are put in order of time."""
    rates = [(T + i * 8 * 3_600_000, 0.0001 * i) for i in range(3)]
    (tmp_path / "ft").mkdir()
    write_feather(
        tmp_path / "ft" / "ETH_USDT_USDT-8h-funding_rate.feather", [(t, r, 0.0, 0.0, 0.0, 0.0) for t, r in rates]
    )
    (tmp_path / "csv").mkdir()
    text = csv_text([rates[2], rates[0], rates[1], rates[1]], ("timestamp", "fundingRate"))
    (tmp_path / "csv" / "ETH_USDT_USDT-8h-funding_rate.csv").write_text(text)
    for name, content in (("json", json.dumps(rates)), ("bare", csv_text(rates, None))):
        (tmp_path / name).mkdir()
        form = "json" if name == "json" else "csv"
        (tmp_path / name / f"ETH_USDT_USDT-8h-funding_rate.{form}").write_text(content)
    columns = (np.array([rate for _, rate in rates]),)
    write_parquet(
        path_of(tmp_path / "own", "x", FUNDING, PAIR, "8h"), FUNDING, np.array([t for t, _ in rates]), columns
    )

    for folder in ("ft", "csv", "own", "json", "bare"):
        found = load_funding(tmp_path / folder, [PAIR])[PAIR]
        assert list(zip(found.ts.tolist(), found.rate.tolist(), strict=True)) == rates


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(T, 0.1), (T + STEP, "nan")], r"line 3 \(row 2\): the rate is not a finite number"),
        ([(T, 0.1), (T, 0.2)], r"line 3 \(row 2\): another row of the same time, \d+, has another rate"),
    ],
)
def test_a_wrong_funding_rate_is_refused_by_row(rows: list[tuple[object, ...]], why: str, tmp_path: Path) -> None:
    """A rate that is none, and two of one time."""
    (tmp_path / "ETH_USDT_USDT-8h-funding_rate.csv").write_text(csv_text(rows, ("timestamp", "rate")))
    with pytest.raises(DataError, match=why):
        load_funding(tmp_path, [PAIR])


def test_missing_marks_and_rates_are_named(tmp_path: Path) -> None:
    """What is missing has its own word."""
    written(tmp_path)
    with pytest.raises(DataError, match=r"no mark prices for ETH/USDT:USDT; there is none\."):
        load_marks(tmp_path, [PAIR])
    with pytest.raises(DataError, match=r"no funding rates of 8h for ETH/USDT:USDT; there is none\."):
        load_funding(tmp_path, [PAIR], "8h")
