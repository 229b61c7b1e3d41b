"""The arguments of the commands that work on stored candles, without a running bot."""

from __future__ import annotations

import argparse

from actors.arguments import lengths, names, pair_list, periods_list, positive, two_durations
from actors.commands.parsing import BAD_INPUT, FAILED, INTERRUPTED, OK, Subparsers, add_account, add_json, command


def add_batch(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """All of them."""
    _add_trading(commands)
    _add_honesty(commands)
    _add_optimizing(commands)
    _add_data(commands)
    _add_download(commands)
    _add_import(commands)


def _add_trading(commands: Subparsers[argparse.ArgumentParser]) -> None:
    replay = command(
        commands,
        "replay",
        "replay",
        "trade stored candles on virtual time; the same data gives the same trades",
        "tradepit replay -c config.toml --strategy sample --data candles/ --pairs ETH/BTC,LTC/BTC --export trades.json",
    )
    _add_stored(replay)
    replay.add_argument("--db", metavar="FILE.duckdb", help="keep the history there")
    replay.add_argument("--seed", type=int, default=0, metavar="N", help="draws the order of messages (default: 0)")
    replay.add_argument("--durable", action="store_true", help="write the journal as it goes, not at the end")
    add_json(replay)

    backtest = command(
        commands,
        "backtest",
        "backtest",
        "trade stored candles by the same rules without actors, as fast as it goes",
        "tradepit backtest -c config.toml --strategy sample --data candles/ --pairs ETH/BTC,LTC/BTC --export trades.json",
        (OK, FAILED, BAD_INPUT, INTERRUPTED),
    )
    _add_stored(backtest)
    backtest.add_argument(
        "--fills",
        choices=("candle", "realistic"),
        default="candle",
        help="candle: Freqtrade's rules; realistic: beside them, with spread, depth, volume and latency of [paper]",
    )
    backtest.add_argument("--candle-by-candle", action="store_true", help="walk every candle; the trades are the same")
    backtest.add_argument(
        "--verify", action="store_true", help="replay it through the actors too, and say the first difference"
    )
    backtest.add_argument("--db", metavar="FILE.duckdb", help="keep the run in this history, beside the bot's trades")
    backtest.add_argument(
        "--orders", action="store_true", help="with --db: keep orders, fills and decisions too, which takes longer"
    )
    backtest.add_argument(
        "--report", metavar="FILE.html", help="write a page of charts and tables, which needs no network"
    )
    backtest.add_argument(
        "--breakdown",
        metavar="day,week,…",
        type=periods_list,
        default=(),
        help="what each day, week, month, year earned",
    )
    add_json(backtest)


def _add_stored(parser: argparse.ArgumentParser) -> None:
    """What is traded on stored candles: by `replay` and by `backtest`."""
    parser.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    parser.add_argument("--strategy", metavar="NAME", help="a name, FILE.py or FILE.py:Class, instead of the config's")
    add_account(parser)
    parser.add_argument(
        "--data", metavar="DIR", help="the folder of candles, ours, Freqtrade's or CSV; see docs/data.md"
    )
    parser.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
    parser.add_argument("--timeframe-detail", metavar="T", help="trade on candles of this finer timeframe, such as 1m")
    parser.add_argument("--from", dest="start", metavar="TIME", help="the first candle, ISO 8601, UTC: 2025-01-31")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the end; candles from it on are left out")
    parser.add_argument("--export", metavar="FILE.json", help="write the trades there; backtest: as Parquet, too")


def _add_honesty(commands: Subparsers[argparse.ArgumentParser]) -> None:
    statuses = (OK, FAILED, BAD_INPUT)
    for name, what in (
        ("lookahead", "say which signals are others when the future is cut off"),
        ("recursive", "say whether signals hang on how many candles came before them"),
    ):
        example = f"tradepit {name} -c config.toml --strategy mine.py --data candles/"
        parser = command(commands, name, "honesty", what, example, statuses)
        parser.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
        parser.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
        add_account(parser)
        parser.add_argument("--data", metavar="DIR", help="the folder of candles")
        parser.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
        parser.add_argument("--from", dest="start", metavar="TIME", help="the first candle, ISO 8601, UTC: 2025-01-31")
        parser.add_argument("--to", dest="end", metavar="TIME", help="the end; candles from it on are left out")
        parser.add_argument(
            "--cuts", type=positive, default=20, metavar="N", help="candles of each pair that are judged again (20)"
        )
        add_json(parser)
        if name == "recursive":
            parser.add_argument(
                "--lengths",
                type=lengths,
                default=(199, 399, 499, 999, 1_999),
                metavar="N,N,…",
                help="how many candles to judge on (199,399,499,999,1999, and the strategy's own)",
            )


def _add_optimizing(commands: Subparsers[argparse.ArgumentParser]) -> None:
    parser = command(
        commands,
        "optimize",
        "optimize",
        "search for the values with which a strategy would have done best",
        "tradepit optimize -c config.toml --strategy mine.py --data candles/ --spaces buy,roi,stoploss --trials 200",
        (OK, FAILED, BAD_INPUT, INTERRUPTED),
    )
    parser.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    parser.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
    add_account(parser)
    parser.add_argument("--data", metavar="DIR", help="the folder of candles")
    parser.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
    parser.add_argument("--from", dest="start", metavar="TIME", help="the first candle, ISO 8601, UTC: 2025-01-31")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the end; candles from it on are left out")
    parser.add_argument(
        "--spaces",
        type=names,
        default=("default",),
        metavar="A,B,…",
        help="what to search: the strategy's own spaces, roi, stoploss, trailing, protection; all; default: all but the last two",
    )
    parser.add_argument("--loss", default="sharpe", metavar="NAME", help="what to make small (default: sharpe)")
    parser.add_argument("--trials", "--epochs", type=positive, default=100, metavar="N", help="how many (100)")
    parser.add_argument("--min-trades", type=positive, default=1, metavar="N", help="fewer make a trial not count (1)")
    parser.add_argument(
        "--sampler", choices=("tpe", "random", "nsga2", "optuna_tpe"), default="tpe", help="default: tpe"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed finds the same (0)")
    parser.add_argument("--batch", type=positive, default=8, metavar="N", help="trials chosen at a time (8)")
    parser.add_argument("--jobs", type=positive, metavar="N", help="processes (default: all cores)")
    parser.add_argument("--ray", metavar="ADDRESS", help="run trials on this Ray cluster instead")
    parser.add_argument("--study", metavar="FILE", help="where the search is kept (default: STRATEGY.study)")
    parser.add_argument(
        "--walk-forward",
        type=two_durations,
        metavar="30d,10d",
        help="search 30 days, try the find on the 10 after, move on by 10",
    )
    parser.add_argument("--no-write", action="store_true", help="leave the strategy's file of optimised values alone")
    add_json(parser)


def _add_data(commands: Subparsers[argparse.ArgumentParser]) -> None:
    data = command(
        commands,
        "data",
        "data",
        "list, check, convert and repair files of candles; see docs/data.md",
        "tradepit data convert user_data/data/binance --to candles --exchange binance",
        (OK, FAILED, BAD_INPUT),
    )
    data.add_argument("action", choices=("list", "check", "convert", "repair"), metavar="ACTION", help="%(choices)s")
    data.add_argument("folder", metavar="DIR", help="a folder of candles, or one file: Parquet, Feather, CSV or JSON")
    data.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="these only")
    data.add_argument("--timeframe", metavar="5m", help="candles of this length only")
    data.add_argument("--to", metavar="DIR", help="where converted candles go, or repaired copies instead of in place")
    data.add_argument("--exchange", metavar="NAME", help="whose candles they are, where the files do not say it")
    data.add_argument("--resample", dest="longer", metavar="1h", help="convert: make longer candles of them")
    data.add_argument("--overwrite", action="store_true", help="replace what is there, made of something else")
    add_json(data)


def _add_download(commands: Subparsers[argparse.ArgumentParser]) -> None:
    download = command(
        commands,
        "download",
        "download",
        "read an exchange's candles, and futures' funding rates, into files; what is there already is not read again",
        "tradepit download --exchange binance --pairs BTC/USDT,ETH/USDT --timeframe 5m,1h --from 2025-01-01",
        (OK, FAILED, BAD_INPUT, INTERRUPTED),
    )
    download.add_argument("-c", "--config", metavar="CONFIG", help="its exchange and pairs (default: ./config.toml)")
    add_account(download)
    download.add_argument("--exchange", metavar="NAME", help="another exchange, as ccxt calls it: binance, kraken, …")
    download.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
    download.add_argument(
        "--timeframe", dest="timeframes", metavar="5m,…", type=names, required=True, help="lengths of candles"
    )
    download.add_argument(
        "--from", dest="start", metavar="TIME", required=True, help="the first candle, ISO 8601, UTC: 2025-01-31"
    )
    download.add_argument("--to", dest="end", metavar="TIME", help="the end (default: now)")
    download.add_argument("--data", metavar="DIR", default="candles", help="where to (default: candles)")
    add_json(download)


def _add_import(commands: Subparsers[argparse.ArgumentParser]) -> None:
    importing = command(
        commands,
        "import-freqtrade",
        "import_freqtrade",
        "turn a Freqtrade configuration into ours, and its closed trades into rows of our history",
        "tradepit import-freqtrade user_data/config.json -o config.toml --db tradepit.duckdb",
        (OK, FAILED, BAD_INPUT),
    )
    importing.add_argument("file", metavar="CONFIG.json", help="Freqtrade's configuration, comments and all")
    importing.add_argument(
        "-o", "--output", metavar="CONFIG.toml", default="config.toml", help="write ours there (default: config.toml)"
    )
    importing.add_argument("--db", metavar="FILE.duckdb", help="import Freqtrade's closed trades into this history")
    importing.add_argument(
        "--sqlite", metavar="FILE.sqlite", help="Freqtrade's database (default: as its configuration says)"
    )
    add_json(importing)
