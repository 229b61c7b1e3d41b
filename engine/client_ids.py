"""Our client order ids in the form that an exchange takes: as they are, or packed into fewer or other characters.

An id of ours says whose order it is: installation, run, pair, trade, intent (`engine.reconcile`). Some exchanges
take only a UUID's digits, or 28 characters. The five parts fit into 128 bits, so packing loses nothing, and
whoever reads an order at the exchange gets our id back. An id that is not of our making stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import string
from typing import Final

from engine.reconcile import CLIENT_ID

_LETTERS: Final = string.ascii_uppercase + string.ascii_lowercase + "234567"
_BITS: Final = (16, 32, 24, 20)
"""Of the run, the pair's checksum, the trade and the intent; 36 are the installation's six letters'."""
_BASES: Final = (10, 16, 10, 10)


def packed(client_order_id: str) -> int:
    """The 128 bits of an id of ours.

    Raises:
        ValueError: it is no id of ours, or a part of it has outgrown its bits: the 65,536th run, or trade 16,777,216.
    """
    found = CLIENT_ID.match(client_order_id)
    if found is None:
        raise ValueError(f"{client_order_id!r} is no client order id of ours")
    number = 0
    for letter in found[1]:
        number = number * len(_LETTERS) + _LETTERS.index(letter)
    for part, base, bits in zip(found.groups()[1:], _BASES, _BITS, strict=True):
        value = int(part, base)
        if value >> bits:
            raise ValueError(f"{client_order_id!r} does not fit into 128 bits")
        number = number << bits | value
    return number


def unpacked(number: int) -> str | None:
    """The id that was packed into `number`; None where that is no id of ours."""
    values = []
    for bits in reversed(_BITS):
        values.append(number & (1 << bits) - 1)
        number >>= bits
    intent, trade, checksum, run = values
    letters = ""
    for _ in range(6):
        number, letter = divmod(number, len(_LETTERS))
        letters = _LETTERS[letter] + letters
    return None if number else f"tp{letters}r{run}p{checksum:08x}t{trade}i{intent}"


def to_hex(client_order_id: str) -> str:
    """As 32 hexadecimal digits, which is what a UUID has."""
    return f"{packed(client_order_id):032x}"


def from_hex(theirs: str) -> str:
    """Our id of those digits, with or without a UUID's dashes; what is none is returned as it is."""
    digits = theirs.replace("-", "")
    if len(digits) != 32 or set(digits.lower()) - set(string.hexdigits):
        return theirs
    return unpacked(int(digits, 16)) or theirs


def to_text(client_order_id: str) -> str:
    """As 22 characters of A-Z, a-z, 0-9, - and _."""
    return base64.urlsafe_b64encode(packed(client_order_id).to_bytes(16)).rstrip(b"=").decode()


def from_text(theirs: str) -> str:
    """Our id of those characters; what is none is returned as it is."""
    if len(theirs) != 22:
        return theirs
    try:
        number = int.from_bytes(base64.urlsafe_b64decode(theirs + "=="))
    except (ValueError, binascii.Error):
        return theirs
    found = unpacked(number)
    return found if found is not None and to_text(found) == theirs else theirs
