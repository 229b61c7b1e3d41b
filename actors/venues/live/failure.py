"""What a failed request means: refused, in doubt, unsent, or a wish for silence.

Rules
    Only what is known not to have happened counts as refused or unsent; everything else is in doubt.
    What never reached the socket is unsent. What was written and has no whole answer is in doubt,
    whatever the error is called: the classes of ccxt's errors differ between equal accidents.
    A whole answer is refused only if the exchange says so in words of its own: a refusal's class that
    ccxt read off the answer, or a plain error with the exchange's code in its text.
    A whole answer that tells of a trouble on the exchange's own side (a timeout, a system error, any status of 5xx)
    is in doubt, by its words or by its code (`exchanges.toml`), whatever ccxt's class: the order may stand behind it.
    That an id is used already is in doubt: an order of that id is there, and it is ours.

ccxt's classes are told by their names, so that nobody has to load it to read this.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

TEXT_MAX: Final = 300
"""A sentence for a person is not longer than this; exchanges answer with whole pages at times."""

SILENCE_MS: Final = 10_000
"""How long an exchange is left alone that wants silence and does not say for how long."""

BAN_MS: Final = 120_000
"""As `SILENCE_MS`, for a ban: the shortest that exchanges give."""

_BANS: Final = {418: BAN_MS, 403: 600_000}
"""By status; of those that ccxt takes for too many requests 403 is Bybit's, which wants ten minutes."""

RESET_MS: Final = 1_000
"""Bybit tells when its count of a second begins anew; so long is the shortest silence."""


class Verdict(StrEnum):
    """What is known of a request that has failed."""

    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    UNSENT = "unsent"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not do what it was for.

    `code` is one of `OrderRejected`'s where the verdict is REFUSED, else UNREACHABLE, TOO_LATE, NO_PERMIT or
    empty. `retry_after_ms` is how long the exchange wants silence, for everybody; `banned` says that it
    has shut us out. `clock`: it did not believe our time. `key`: it did not accept our key, and where it wants silence
    that is of what carries the key. `same`: it is so already.
    """

    verdict: Verdict
    code: str
    reason: str
    retry_after_ms: int = 0
    banned: bool = False
    clock: bool = False
    key: bool = False
    same: bool = False


@dataclass(slots=True)
class Exchanged:
    """What is known of one HTTP request: whether it was written, and its answer, if a whole one came.

    `told` is the answer's JSON, None where it is none: ccxt makes an empty list of what it cannot read.
    """

    written: bool = False
    status: int | None = None
    headers: Mapping[str, str] | None = None
    told: Any = None


class NotLeaving(Exception):
    """A request was held back immediately before the socket; the code and the sentence say why."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


_CODES: Final = (
    ("InsufficientFunds", "INSUFFICIENT_FUNDS"),
    ("OrderImmediatelyFillable", "WOULD_TRIGGER"),
    ("OrderNotFound", "NOT_FOUND"),
    ("MarketClosed", "MARKET_CLOSED"),
    ("ContractUnavailable", "MARKET_CLOSED"),
    ("BadSymbol", "MARKET_CLOSED"),
    ("InvalidOrder", "INVALID_ORDER"),
)
"""Codes of `OrderRejected` by ccxt's class, the more special one first."""

_SILENCE: Final = frozenset({"DDoSProtection", "RateLimitExceeded"})
_NOT_DONE: Final = frozenset({"InvalidNonce", "OnMaintenance"})
_SURE: Final = frozenset({
    "InsufficientFunds", "AuthenticationError", "BadSymbol", "MarketClosed", "OrderImmediatelyFillable",
    "OrderNotFound", "NoChange",
})  # fmt: skip
"""Classes that say what was wrong with the order or the key: nothing was done, whatever words stand beside."""

_SURE_AT_5XX: Final = frozenset({"InsufficientFunds", "AuthenticationError"})

_TROUBLE: Final = re.compile(
    r"(?<![a-z])timed?[ _-]?out(?![a-z])"
    r"|(system|server|internal|network|gateway|backend|service|unknown)[ _-]+([a-z]+[ _-]+){0,3}(error|exception|fault)"
    r"|(system|server|service|network|request)[^{}\"]{0,30}(abnormal|unavailable|not available|overload|failed)"
    r"|(?<![a-z])busy(?![a-z])|overloaded|temporarily unavailable|deadline"
    r"|(?<![a-z])(re)?try( it)?( again)? (later|in )|status unknown|unexpected (error|response)"
    r"|(being|under|for|while|is) processing|being processed",
    re.IGNORECASE,
)
"""Words by which an exchange tells of a trouble of its own: what became of the request is not in them."""

_CODE_BEFORE: Final = r'"(?:code|retCode|ret_code|sCode|err-code|err_code|error_code|error|label)"\s*:\s*"?'
_EXCHANGE_CODE: Final = re.compile(
    r'[\[{].*"?(code|error|msg|message|label|err-code|sCode)"?\s*:', re.DOTALL | re.IGNORECASE
)
_USED_ID: Final = re.compile(r"duplicat|already (exists?|used)", re.IGNORECASE)
_NOT_TRADED: Final = re.compile(
    r"(market|symbol|trading|pair|contract|instrument)\b.{0,40}\b(closed|halt|suspend|pause|status|delist|offline)",
    re.IGNORECASE,
)
"""A pair that is not traded now, in words that ccxt takes for any refusal: Binance's futures, for one."""
_NO_ORDER: Final = re.compile(
    r"order[^{}]{0,40}(not|n'?t) (be )?(exist|found)|unknown[ _]order|order_not_found|\"not_found\"|no such order",
    re.IGNORECASE,
)
_SAME: Final = re.compile(r"not (been )?(modified|changed)|no need to (change|modify)", re.IGNORECASE)
"""What was to be set is so already, in words that ccxt takes for a refusal: Bybit's leverage, for one."""
_KEY_RESTS: Final = re.compile(r'"code"\s*:\s*"?-2015(?![0-9])')
"""Binance's word for a key that was good before: it is no good any more, may not do this, or rests; ccxt cannot tell."""
_PAGE: Final = re.compile(r"<(!doctype|html|head|body)\b.*", re.IGNORECASE)
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


_ADDRESS: Final = {
    451: "the exchange refuses this address, most likely for the country that it is in",
    403: "the exchange, or what stands before it, refuses this address: for its country, or for too many requests",
    404: "there is no such place: the addresses under [exchange] options may be wrong",
}
"""What a status most likely means that came without words of the exchange's own."""


def _names(error: BaseException) -> tuple[str, ...]:
    return tuple(cls.__name__ for cls in type(error).__mro__)


def failure_of(error: BaseException, exchanged: Exchanged, now_ms: int, unsure: Collection[str] = ()) -> Failure:
    """What `error` means, which a request of these facts ended with; `now_ms` is the exchange's time.

    `unsure` are codes of this exchange that do not say that nothing was done.
    """
    names = _names(error)
    text = sentence_of(error)
    if isinstance(error, NotLeaving):
        return Failure(Verdict.UNSENT, error.code, error.reason)
    if not exchanged.written:
        if "ExchangeError" in names or "BaseError" not in names:  # ccxt itself saw that it cannot be
            return Failure(Verdict.REFUSED, _code_of(names), text)
        return Failure(Verdict.UNSENT, "UNREACHABLE", text)
    if exchanged.status is None:
        return Failure(Verdict.IN_DOUBT, "", f"no whole answer: {text}")
    if exchanged.status in _ADDRESS and {"ExchangeNotAvailable", *_SILENCE}.intersection(names):
        text = f"{_ADDRESS[exchanged.status]}: {text}"[:TEXT_MAX]
    if exchanged.status in (418, 429) or _SILENCE.intersection(names):
        return _silence(text, exchanged, now_ms)
    if _NOT_DONE.intersection(names):
        clock = "InvalidNonce" in names
        return Failure(Verdict.REFUSED, "REFUSED" if clock else "UNREACHABLE", text, clock=clock)
    if "ExchangeError" not in names or "DuplicateOrderId" in names or _USED_ID.search(text):
        return Failure(Verdict.IN_DOUBT, "", text)
    if type(error).__name__ == "ExchangeError" and not _EXCHANGE_CODE.search(str(error)):
        return Failure(Verdict.IN_DOUBT, "", f"an error without a code: {text}")
    if _is_trouble(error, exchanged.status, names, unsure):
        return Failure(Verdict.IN_DOUBT, "", f"a trouble of the exchange's own: {text}")
    same = bool({"NoChange", "MarginModeAlreadySet"}.intersection(names)) or bool(_SAME.search(text))
    code, key = _code_of(names), "AuthenticationError" in names
    if code == "REFUSED" and _NOT_TRADED.search(text):
        code = "MARKET_CLOSED"
    if code in ("REFUSED", "INVALID_ORDER") and not key and _NO_ORDER.search(str(error)):
        code = "NOT_FOUND"  # not every exchange's words for it have their class
    return Failure(Verdict.REFUSED, code, text, key=key, same=same)


def _is_trouble(error: BaseException, status: int, names: tuple[str, ...], unsure: Collection[str]) -> bool:
    """Whether a refusal's class hides a trouble of the exchange's own, behind which the request may have been done."""
    if status >= 500:
        return not _SURE_AT_5XX.intersection(names)
    if _SURE.intersection(names):
        return False
    told = str(error)
    return bool(_TROUBLE.search(told)) or any(
        re.search(f"{_CODE_BEFORE}{re.escape(code)}(?![0-9A-Za-z_])", told) for code in unsure
    )


def unread(value: Any, exchanged: Exchanged) -> Failure | None:
    """Why an answer that ccxt has read without complaint says nothing: it is no JSON, or has no list where one was asked for.

    ccxt makes an empty list of both, and nobody may think that there is no order, no fill and no position.
    """
    if not exchanged.written or exchanged.status is None:
        return None
    if exchanged.told is None:
        return Failure(Verdict.IN_DOUBT, "", "its answer is no JSON")
    said = exchanged.told or isinstance(exchanged.told, list)
    if not value and not (_has_list(exchanged.told, 0) if isinstance(value, list) else said):
        return Failure(Verdict.IN_DOUBT, "", f"its answer says nothing: {str(exchanged.told)[:100]}")
    return None


_BESIDE: Final = frozenset({"error", "errors", "retExtInfo"})
DEPTH: Final = 3


def _has_list(told: Any, depth: int) -> bool:
    """Whether there is a list in an answer, or its place: Kraken tells tables by id, Bitget writes null for none."""
    if isinstance(told, list):
        return True
    if not isinstance(told, Mapping):
        return told is None and depth == 2
    if depth == 2:
        return True
    return depth < DEPTH and any(_has_list(one, depth + 1) for name, one in told.items() if name not in _BESIDE)


def _code_of(names: tuple[str, ...]) -> str:
    return next((code for name, code in _CODES if name in names), "REFUSED")


def _silence(text: str, exchanged: Exchanged, now_ms: int) -> Failure:
    banned = exchanged.status in _BANS
    until = _BANNED_UNTIL.search(text)
    headers = {name.lower(): str(value).strip() for name, value in (exchanged.headers or {}).items()}
    told, reset = headers.get("retry-after", ""), headers.get("x-bapi-limit-reset-timestamp", "")
    if told.isdigit():
        wait = int(told) * 1_000
    elif until is not None:
        wait = max(int(until[1]) - now_ms, 0)
    elif reset.isdigit() and not banned:
        wait = min(max(int(reset) - now_ms, RESET_MS), SILENCE_MS)
    else:
        wait = _BANS.get(exchanged.status or 0, SILENCE_MS)
    key = exchanged.status not in (418, 429) and bool(_KEY_RESTS.search(text))
    return Failure(Verdict.SILENCE, "NO_PERMIT", text, retry_after_ms=max(wait, 1), banned=banned, key=key)


def sentence_of(error: BaseException) -> str:
    """An error as one line for a person: no page of HTML, no signed address."""
    text = " ".join(str(error).split())
    cause = error.__cause__
    if cause is not None and str(cause):
        text = f"{text} ({type(cause).__name__}: {' '.join(str(cause).split())})"
    text = re.sub(r"(signature|apiKey|api_key|listenKey|timestamp)=[^&\s]*", r"\1=…", text)
    text = re.sub(r"(?<=//)[^/@\s]+(?=@)", "…", text)  # a proxy's password
    text = _PAGE.sub("and a web page", text)
    if not text:
        text = type(error).__name__
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"
