"""Keeping runs: in DuckDB beside the bot's own trades, and as files of trades and figures."""

from __future__ import annotations

import io
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from actors.batch.exporting import rows_of, write_trades, write_whole
from actors.batch.outcome import Outcome
from actors.batch.tables import json_of
from actors.files import Files, lock_holder
from actors.lean import without_pandas
from actors.spool import keep
from engine.codec import to_plain
from engine.errors import StorageError


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept run: its number in SQL, and a sentence about where it is."""

    run: int
    told: str


def store(files: Files, outcome: Outcome) -> Stored:
    """Keep a run beside the history of `files`, with its orders, fills and decisions where it has its events.

    While a bot runs there, its history takes the run in by itself within a moment; else it is done here. A
    DuckDB file that somebody else has open gets it when it is opened next.

    Raises:
        StorageError: it cannot be written, or the history does not take it.
    """
    from actors.batch.run_tables import tables_of

    with without_pandas():
        kept = keep(files, _about(outcome), lambda number: tables_of(outcome, number))
    begin = f"Stored as run {kept.run} of {files.db}"
    if lock_holder(files.lock) is not None:
        return Stored(kept.run, f"{begin}, which the running bot's history takes in within a moment.")
    from actors.history.sql import run_query
    from actors.history.store import HistoryLocked

    try:
        _, rows = run_query(files.db, f"SELECT status FROM runs WHERE run = {kept.run}")  # noqa: S608  (a number)
    except HistoryLocked as error:
        return Stored(kept.run, f"{begin}, which takes it in when it is opened next: {error}")
    if rows != [("0",)]:
        raise StorageError(f"{files.db} did not take in {kept.path}: it holds what its tables cannot.")
    return Stored(kept.run, f"{begin}.")


def _about(outcome: Outcome) -> dict[str, Any]:
    from importlib.metadata import version  # it brings the mail library along

    now = int(time.time() * 1_000)
    settings = to_plain(outcome.config)
    summary = outcome.summary
    return {
        "mode": "backtest",
        "started": now,
        "ended": now,
        "strategy": outcome.strategy,
        "fills": outcome.fills,
        "config_sha": sha256(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest(),
        "version": version("tradepit"),
        "timeframe": outcome.timeframe,
        "data_from": summary.start_ts,
        "data_to": summary.end_ts,
        "currency": outcome.currency,
        "wallet": format(outcome.result.wallet, "f"),
        "pairs": sorted(outcome.candles),
        "settings": settings,
        "metrics": {
            **asdict(summary),
            **to_plain(outcome.result.counters),
            "interrupted": outcome.result.interrupted,
        },
    }


# ---------------------------------------------------------------- files


def export_trades(file: Path, outcome: Outcome) -> None:
    """Write the trades: JSON of the fields that `replay --export` has, or Parquet by the file's name.

    Raises:
        DataError: the file cannot be written.
    """
    rows = rows_of(outcome.result.trades)
    if file.suffix == ".parquet":
        write_whole(file, _parquet(rows, {"tradepit": orjson.dumps(json_of(outcome), default=str)}))
    else:
        write_trades(file, rows)


def _parquet(rows: list[dict[str, Any]], metadata: dict[str, bytes]) -> bytes:
    """Rows as Parquet; `metadata` goes with the schema, as the figures do with the trades."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = ("pair", "side", "open_time", "close_time", "exit_reason", "enter_tag")
    numbers = ("open_rate", "close_rate", "amount", "stake", "leverage", "fee_open", "fee_close", "profit_abs")
    names = [*texts[:4], *numbers, "profit_ratio", *texts[4:]]
    columns = []
    for name in names:
        values = [row[name] for row in rows]
        if name.endswith("_time"):
            columns.append(pa.array(np.array([v[:19] for v in values], "datetime64[ms]"), pa.timestamp("ms", "UTC")))
        else:
            columns.append(pa.array(values, pa.string() if name in texts else pa.float64()))
    table = pa.table(columns, names=names).replace_schema_metadata(metadata)
    written = io.BytesIO()
    pq.write_table(table, written, compression="zstd")
    return written.getvalue()
