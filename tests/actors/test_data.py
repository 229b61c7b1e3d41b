"""Candle files: every layout read alike, gaps filled, and a broken file refused by name and row."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from actors.batch.data import available, load_candles, load_repaired, locate, row_count
from engine.candles import Candle
from engine.errors import DataError

T = 1_515_560_100_000
STEP = 300_000
ROWS = [(T + i * STEP, 10.0 + i, 12.0 + i, 9.5 + i, 11.0 + i, 100.0 * i) for i in range(6)]
CANDLES = [Candle(*row) for row in ROWS]
HEAD = ("date", "open", "high", "low", "close", "volume")
REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv"

Rows = Sequence[Sequence[object]]


def iso(ts: int) -> str:
    """A time as Freqtrade's frames print it."""
    import numpy as np

    return f"{np.datetime64(ts, 'ms').astype('datetime64[s]')}+00:00".replace("T", " ")


def csv_text(rows: Rows, head: Sequence[str] | None = HEAD, mark: str = ",") -> str:
    """Rows as CSV."""
    lines = [mark.join(head)] if head else []
    return "\n".join(lines + [mark.join(str(value) for value in row) for row in rows]) + "\n"


def table(rows: Rows, time: str = "timestamp") -> object:
    """Rows as an Arrow table in Freqtrade's columns."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    kind = pa.timestamp("ms", tz="UTC") if time == "timestamp" else pa.int64()
    arrays = [pa.array(columns[0], pa.int64()).cast(kind), *(pa.array(column, pa.float64()) for column in columns[1:])]
    return pa.table(dict(zip(HEAD, arrays, strict=True)))


def write_feather(path: Path, rows: Rows, compression: str = "lz4") -> None:
    """A Feather file as Freqtrade writes it."""
    import pyarrow.feather

    pyarrow.feather.write_feather(table(rows), str(path), compression=compression)


def write_parquet(path: Path, rows: Rows) -> None:
    """A Parquet file."""
    import pyarrow.parquet

    pyarrow.parquet.write_table(table(rows), path)


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "parquet": ("ETH_BTC-5m.parquet", lambda p: write_parquet(p, ROWS)),
    "feather lz4": ("ETH_BTC-5m.feather", lambda p: write_feather(p, ROWS)),
    "feather zstd": ("ETH_BTC-5m.feather", lambda p: write_feather(p, ROWS, "zstd")),
    "freqtrade json": ("ETH_BTC-5m.json", lambda p: p.write_text(json.dumps(ROWS))),
    "freqtrade json.gz": ("ETH_BTC-5m.json.gz", lambda p: p.write_bytes(gzip.compress(json.dumps(ROWS).encode()))),
    "json in seconds with a fraction": (
        "ETH_BTC-5m.json",
        lambda p: p.write_text(json.dumps([(row[0] / 1_000 + 0.0, *row[1:]) for row in ROWS])),
    ),
    "json in nanoseconds": (
        "ETH_BTC-5m.json",
        lambda p: p.write_text(json.dumps([(row[0] * 1_000_000, *row[1:]) for row in ROWS])),
    ),
    "json of texts": ("ETH_BTC-5m.json", lambda p: p.write_text(json.dumps([list(map(str, row)) for row in ROWS]))),
    "json records": (
        "ETH_BTC-5m.json",
        lambda p: p.write_text(json.dumps([dict(zip(HEAD, row, strict=True)) for row in ROWS])),
    ),
    "freqtrade csv": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text([(iso(r[0]), *r[1:]) for r in ROWS]))),
    "csv in seconds": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text([(r[0] // 1_000, *r[1:]) for r in ROWS]))),
    "csv in microseconds": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text([(r[0] * 1_000, *r[1:]) for r in ROWS]))),
    "ccxt csv": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text(ROWS, ("timestamp", *HEAD[1:])))),
    "headerless csv": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text(ROWS, None))),
    "headerless csv of twelve": (
        "ETHBTC-5m.csv",
        lambda p: p.write_text(csv_text([(*row, row[0] + 1, 0, 0, 0, 0, 0) for row in ROWS], None)),
    ),
    "csv with semicolons": ("ETH_BTC-5m.csv", lambda p: p.write_text(csv_text(ROWS, HEAD, ";"))),
    "csv.gz": ("ETH_BTC-5m.csv.gz", lambda p: p.write_bytes(gzip.compress(csv_text(ROWS).encode()))),
    "no timeframe in the name": ("ETH_BTC.csv", lambda p: p.write_text(csv_text(ROWS))),
    "short names in capitals": (
        "ETH_BTC-5m.csv",
        lambda p: p.write_text(csv_text(ROWS, ("Unix", "Open", "High", "Low", "Close", "Volume ETH"))),
    ),
    "the origin's address above": (
        "ETH_BTC-5m.csv",
        lambda p: p.write_text("https://example.com\n" + csv_text(ROWS, ("Unix", *HEAD[1:]))),
    ),
    "columns in another order": (
        "ETH_BTC-5m.csv",
        lambda p: p.write_text(csv_text([row[::-1] for row in ROWS], HEAD[::-1])),
    ),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_the_same_candles(layout: str, tmp_path: Path) -> None:
    """However the six rows are written, they are read as the same six candles."""
    name, write = WRITERS[layout]
    write(tmp_path / name)

    assert list(load_candles(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES
    assert list(load_candles(tmp_path / name, ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES


def test_futures_names_are_pairs_with_a_settlement_coin(tmp_path: Path) -> None:
    """Freqtrade's futures folder is looked into; mark prices and funding rates are no candles."""
    folder = tmp_path / "futures"
    folder.mkdir()
    write_feather(folder / "ETH_USDT_USDT-5m-futures.feather", ROWS)
    write_feather(folder / "ETH_USDT_USDT-5m-mark.feather", ROWS)
    write_feather(folder / "ETH_USDT_USDT-8h-funding_rate.feather", ROWS)

    assert [file.pair for file in available(tmp_path)] == ["ETH/USDT:USDT"]
    assert list(load_candles(tmp_path, ["ETH/USDT:USDT"], "5m")["ETH/USDT:USDT"]) == CANDLES


def test_gaps_repetitions_and_disorder_are_repaired_and_counted(tmp_path: Path) -> None:
    """A hole is filled at the close before it, a row that comes twice counts once, order is restored."""
    (tmp_path / "ETH_BTC-5m.csv").write_text(csv_text([ROWS[1], ROWS[0], ROWS[1], ROWS[4]]))
    result = load_repaired(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]

    filled = Candle(T + 2 * STEP, 12.0, 12.0, 12.0, 12.0, 0.0)
    assert list(result.candles) == [*CANDLES[:2], filled, filled._replace(ts=T + 3 * STEP), CANDLES[4]]
    assert (result.gaps, result.duplicates, result.out_of_order) == (2, 1, 1)


def test_a_time_range_is_half_open_and_a_gap_at_its_start_is_filled(tmp_path: Path) -> None:
    """From `start` on, without `end`; the candle missing at the start is made of the one before it."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", [ROWS[0], *ROWS[2:]])
    candles = list(load_candles(tmp_path, ["ETH/BTC"], "5m", T + STEP, T + 4 * STEP)["ETH/BTC"])

    assert [candle.ts for candle in candles] == [T + STEP, T + 2 * STEP, T + 3 * STEP]
    assert candles[0] == Candle(T + STEP, 11.0, 11.0, 11.0, 11.0, 0.0)


def test_the_asked_timeframe_and_the_better_format_are_taken(tmp_path: Path) -> None:
    """Of several files of a pair the one of the timeframe is read, Parquet before Feather before CSV."""
    other = [(row[0], 5.0, 5.0, 5.0, 5.0, 5.0) for row in ROWS]
    (tmp_path / "ETH_BTC-5m.csv").write_text(csv_text(other))
    write_feather(tmp_path / "ETH_BTC-5m.feather", other)
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    hours = [(3_600_000 * (420_988 + i), *row[1:]) for i, row in enumerate(ROWS)]
    write_parquet(tmp_path / "ETH_BTC-1h.parquet", hours)

    assert list(load_candles(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]) == CANDLES
    assert [c.ts for c in load_candles(tmp_path, [], "1h")["ETH/BTC"]] == [row[0] for row in hours]


def test_what_is_there_is_listed(tmp_path: Path) -> None:
    """Pair, timeframe, format, rows and the first and last time of each file; other files are left out."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    (tmp_path / "ADA_BTC.csv").write_text(csv_text(ROWS[:3]))
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty_one-5m.csv").write_text(csv_text([]))
    listed = [(f.pair, f.timeframe, f.format, f.rows, f.first, f.last) for f in available(tmp_path)]

    assert listed == [
        ("ADA/BTC", "5m", "csv", 3, T, T + 2 * STEP),
        ("ETH/BTC", "5m", "parquet", 6, T, T + 5 * STEP),
    ]


def test_all_missing_pairs_are_named_with_what_there_is(tmp_path: Path) -> None:
    """One sentence names every pair without a file, the timeframe, and the files there are."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    with pytest.raises(DataError, match=r"no candles of 5m for ADA/BTC, XRP/BTC; there is ETH/BTC 5m\."):
        load_candles(tmp_path, ["ETH/BTC", "ADA/BTC", "XRP/BTC"], "5m")
    with pytest.raises(DataError, match=r"no candles of 1h for any pair"):
        load_candles(tmp_path, [], "1h")


def test_a_missing_folder_and_an_empty_one_are_said(tmp_path: Path) -> None:
    """No folder, or nothing in it: each has its own sentence."""
    with pytest.raises(DataError, match="does not exist"):
        load_candles(tmp_path / "nowhere", ["ETH/BTC"], "5m")
    with pytest.raises(DataError, match="there is no candle file"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")


def test_a_time_without_candles_says_what_the_file_has(tmp_path: Path) -> None:
    """Asking for a year that the file does not cover names the time that it does cover."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    with pytest.raises(DataError, match="it has 2018-01-10 04:55 to 2018-01-10 05:20"):
        load_candles(tmp_path, ["ETH/BTC"], "5m", T + 10**9)


BROKEN: dict[str, tuple[str, str]] = {
    "a word for a price": (csv_text(ROWS[:2]) + "2018-01-10 05:05:00,x,1,1,1,1\n", r"line 4 \(row 3\): open is 'x'"),
    "high under low": (csv_text([*ROWS[:3], (ROWS[3][0], 10, 8, 9, 10, 1)]), r"line 5 \(row 4\): the high 8"),
    "an empty cell": (csv_text([*ROWS[:2], (ROWS[2][0], 10, "", 9, 10, 1)]), r"line 4 \(row 3\): a value is not"),
    "a wild price": (csv_text([ROWS[0], (ROWS[1][0], 1e6, 1e6, 1e6, 1e6, 1)]), r"line 3 \(row 2\): the open 1000000"),
    "off the timeframe": (csv_text([ROWS[0], (T + 1_000, *ROWS[1][1:])]), r"line 3 \(row 2\): no candle of 5m"),
    "two truths": (csv_text([ROWS[0], ROWS[1], (ROWS[0][0], *ROWS[1][1:])]), r"line 4 \(row 3\): another row"),
    "a word for a time": (csv_text([("soon", *ROWS[0][1:])]), r"line 2 \(row 1\): the time is 'soon'"),
    "a missing column": (csv_text([row[:5] for row in ROWS], HEAD[:5]), "the column volume is missing"),
    "no time column": (csv_text(ROWS, ("when", *HEAD[1:])), "no column is the time"),
    "too few values": (csv_text([row[:4] for row in ROWS], None), "line 1: 4 values"),
    "a short row": (csv_text(ROWS[:2]) + "1515560700000,1\n", "line 4: 2 values instead of 6"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_csv_is_refused_by_file_and_row(fault: str, tmp_path: Path) -> None:
    """Each fault is one sentence with the file's name and the place of the first bad row."""
    text, expected = BROKEN[fault]
    (tmp_path / "ETH_BTC-5m.csv").write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        load_candles(tmp_path, ["ETH/BTC"], "5m")

    assert "ETH_BTC-5m.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ETH_BTC-5m.parquet", "ETH_BTC-5m.feather", "ETH_BTC-5m.json", "ETH_BTC-5m.csv"])
@pytest.mark.parametrize("content", [b"", b"not at all", b"\xff\xfe\x00\x80" * 50, b'{"a": 1}'])
def test_a_file_that_is_not_what_its_name_says_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    """Garbage under any format's name is a sentence that names the file, never a traceback of a library."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")) as caught:
        load_candles(tmp_path, ["ETH/BTC"], "5m")

    assert "\n" not in str(caught.value)
    if name.endswith("csv") and not content:
        assert "the file is empty" in str(caught.value)


@pytest.mark.parametrize("name", ["ETH_BTC-5m.parquet", "ETH_BTC-5m.feather"])
def test_a_torn_file_is_refused(name: str, tmp_path: Path) -> None:
    """A file cut off in the middle is named."""
    path = tmp_path / name
    (write_parquet if name.endswith("parquet") else write_feather)(path, ROWS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"ETH_BTC-5m\."):
        load_candles(tmp_path, ["ETH/BTC"], "5m")


def test_a_bad_row_in_an_arrow_file_is_named(tmp_path: Path) -> None:
    """A negative price in a Parquet file, counted from 1."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", [*ROWS[:3], (ROWS[3][0], 10.0, 11.0, -1.0, 10.0, 1.0)])
    with pytest.raises(DataError, match=r"ETH_BTC-5m\.parquet, row 4: the low -1\.0 is not positive"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")


def test_a_bad_row_in_json_is_named(tmp_path: Path) -> None:
    """A short row and a word for a price, counted from 1."""
    path = tmp_path / "ETH_BTC-5m.json"
    path.write_text(json.dumps([*ROWS[:2], [T, 1]]))
    with pytest.raises(DataError, match="row 3: time, open"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")
    path.write_text(json.dumps([ROWS[0], [T + STEP, 1, "x", 1, 1, 1]]))
    with pytest.raises(DataError, match="row 2: high is 'x'"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")


def test_two_sources_of_one_pair_are_not_chosen_between(tmp_path: Path) -> None:
    """The same pair and timeframe in two folders may differ: both are named, and neither is taken."""
    for exchange in ("binance", "kraken"):
        (tmp_path / exchange).mkdir()
        write_feather(tmp_path / exchange / "ETH_BTC-5m.feather", ROWS)
    with pytest.raises(DataError, match=r"ETH/BTC 5m is there several times: in .*binance, .*kraken"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")

    assert len(load_candles(tmp_path / "kraken", ["ETH/BTC"], "5m")["ETH/BTC"]) == 6


def test_two_files_of_one_format_are_not_chosen_between(tmp_path: Path) -> None:
    """Nobody knows which of two CSV files of one pair is meant."""
    (tmp_path / "ETH_BTC-5m.csv").write_text(csv_text(ROWS))
    (tmp_path / "ETH-BTC-5m.csv").write_text(csv_text(ROWS[:3]))
    with pytest.raises(DataError, match=r"in several files: ETH-BTC-5m\.csv, ETH_BTC-5m\.csv; leave one"):
        load_candles(tmp_path, ["ETH/BTC"], "5m")


def test_files_that_are_no_candles_are_in_nobodys_way(tmp_path: Path) -> None:
    """A JSON file of something else beside the candles is not read when all pairs are asked for."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    (tmp_path / "markets.json").write_text('{"ETH/BTC": {}}')

    assert list(load_candles(tmp_path, [], "5m")) == ["ETH/BTC"]


def test_a_long_list_of_what_is_there_is_cut(tmp_path: Path) -> None:
    """The pair that is missing in this timeframe is named first with those it has, and the list ends."""
    for i in range(20):
        (tmp_path / f"A{i:02d}_BTC-5m.csv").write_text(csv_text(ROWS))
    with pytest.raises(
        DataError, match=r"for A15/BTC; there is A15/BTC 5m, A00/BTC 5m, .* and 8 more\. .*1h` makes them of 5m"
    ):
        load_candles(tmp_path, ["A15/BTC"], "1h")


@pytest.mark.parametrize("layout", ["parquet", "feather lz4", "freqtrade json", "headerless csv"])
def test_rows_are_counted_without_being_read(layout: str, tmp_path: Path) -> None:
    """What a file says of itself is how many rows it has."""
    name, write = WRITERS[layout]
    write(tmp_path / name)

    assert row_count(locate(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"]) == 6


def test_whole_candles_are_views_of_what_was_read(tmp_path: Path) -> None:
    """Columns of a whole file are not copied, and nobody can change them."""
    write_parquet(tmp_path / "ETH_BTC-5m.parquet", ROWS)
    candles = load_repaired(tmp_path, ["ETH/BTC"], "5m")["ETH/BTC"].candles

    assert not candles.close.flags.owndata
    assert not candles.close.flags.writeable


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared real candles are not on this machine")
def test_the_real_candles_load_with_their_gaps_filled() -> None:
    """Ten real pairs: ADA's 40 missing candles are filled, prices have eight decimals."""
    from engine.precision import price_steps

    found = load_repaired(REAL, [], "5m")

    assert len(found) == 10
    assert (len(found["ADA/BTC"].candles), found["ADA/BTC"].gaps) == (5_760, 40)
    assert {str(step) for r in found.values() for _, step in price_steps(r.candles)} == {"1E-8"}
