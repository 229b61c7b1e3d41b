"""Where the log goes and how a line looks: `time level actor message`, the same on a terminal and in a file.

Secrets do not come here: whoever logs configuration logs `engine.config.masked` of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TextIO

from loguru import logger

from engine.errors import TradepitError
from engine.settings import RuntimeConfig

if TYPE_CHECKING:
    from loguru import Record

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")
FILE_MAX: Final = "20 MB"
FILES_KEPT: Final = 5

_PLAIN: Final = "{time:YYYY-MM-DDTHH:mm:ss.SSSZZ} {level} {extra[actor]} {message}"
_COLOURED: Final = "<dim>{time:HH:mm:ss.SSS}</> <level>{level: <8}</> <cyan>{extra[actor]}</> {message}"


def set_up_logs(runtime: RuntimeConfig, *, stream: TextIO | None = None, on_stream: bool = True) -> None:
    """Send the log to `stream` (standard error) and to the config's file.

    On a terminal lines are coloured; elsewhere each is `time level actor message`, ready for `cut` and `grep`.
    `on_stream=False` leaves the stream to the screen. What a log line cannot be written to costs that line.

    Raises:
        TradepitError: the log file cannot be opened.
    """
    stream = stream or sys.stderr
    logger.remove()
    logger.configure(extra={"actor": "-"}, patcher=_one_line)
    if on_stream:
        coloured = stream.isatty()
        form = _COLOURED if coloured else _PLAIN
        logger.add(stream, level=runtime.log_level, format=form, colorize=coloured, diagnose=False, backtrace=False)
    if runtime.log_file:
        try:
            logger.add(
                runtime.log_file,
                level=runtime.log_level,
                format=_PLAIN,
                rotation=FILE_MAX,
                retention=FILES_KEPT,
                diagnose=False,  # tracebacks with the values of variables could show a secret
                backtrace=False,
                encoding="utf-8",
            )
        except OSError as error:
            raise TradepitError(f"The log file {runtime.log_file} cannot be opened: {error.strerror}.") from None


def _one_line(record: Record) -> None:
    """A message is one line: what comes from outside cannot fake another."""
    if "\n" in record["message"] or "\r" in record["message"]:
        record["message"] = record["message"].replace("\r", "").replace("\n", " ⏎ ")
