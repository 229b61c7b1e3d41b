"""Frozen dataclasses to plain JSON-able values, and back by their annotations.

Rules
    Decimals become strings, enumerations their values, tuples and sets lists, dataclasses dicts.
    A union of more than "X or None" keeps str, int, float and bool as they are and tags the others:
    `{"$": "Decimal", "=": "1.5"}`. So does a field whose annotation is a base class.
    A field that the plain value lacks takes its default (an older state); one that the class lacks is
    refused (a newer state): guessing would lose what it meant.

Converters are compiled once a class; a dataclass of 20 fields takes a few microseconds.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeVar

from engine.errors import StorageError

T = TypeVar("T")
Converter = Callable[[Any], Any]
"""One direction; None in its place means that the value is plain already."""

AS_IS = (str, int, float, bool, type(None))


def to_plain(value: Any) -> Any:
    """`value` as str, int, float, bool, None, lists and dicts; raises `TypeError` for what has no plain form."""
    cls = type(value)
    if cls in _PLAIN_ALREADY:
        return value
    encode = _ENCODERS.get(cls)
    if encode is None:
        encode = _ENCODERS[cls] = _encoder_of(cls)
    return encode(value)


_PLAIN_ALREADY = frozenset(AS_IS)
_ENCODERS: dict[type, Converter] = {}


def _encoder_of(cls: Any) -> Converter:
    if is_dataclass(cls):
        return _dataclass_codec(typing.cast(Hashable, cls))[0]
    if cls is Decimal:
        return str
    if issubclass(cls, Enum):
        return attrgetter("value")
    if issubclass(cls, Mapping):
        return lambda value: {_key(key): to_plain(item) for key, item in value.items()}
    if issubclass(cls, list | tuple):
        return lambda value: [to_plain(item) for item in value]
    if issubclass(cls, AbstractSet):
        return lambda value: sorted((to_plain(item) for item in value), key=repr)
    raise TypeError(f"a {cls.__qualname__} has no plain form")


def from_plain(cls: type[T], plain: Any) -> T:
    """The `cls` that `to_plain` made `plain` of; equal to the original.

    Raises:
        StorageError: `plain` does not fit `cls`; the text says what is missing, unknown or malformed.
    """
    hint: Any = cls
    convert = _codec(hint)[1]
    try:
        return plain if convert is None else convert(plain)  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise StorageError(f"a recorded {getattr(cls, '__name__', cls)} cannot be read: {error!r}.") from None


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if isinstance(key, Enum):
        return str(key.value)
    return str(key)


def _decimal(text: Any) -> Decimal:
    if type(text) is not str:
        raise ValueError(f"{text!r} is not a decimal")
    return Decimal(text)


@cache
def _codec(hint: Hashable) -> tuple[Converter | None, Converter | None]:
    """Both directions for values annotated with `hint`."""
    origin = typing.get_origin(hint)
    if origin is None:
        return _class_codec(hint)
    arguments = typing.get_args(hint)
    if origin is typing.Annotated:
        return _codec(arguments[0])
    if origin is Literal:
        return None, None
    if origin in (typing.Union, types.UnionType):
        return _union_codec(arguments)
    if issubclass(origin, tuple) and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return _fixed_tuple_codec(arguments)
    if issubclass(origin, Mapping):
        return _mapping_codec(*arguments)
    if issubclass(origin, AbstractSet):
        return _items_codec(set if origin is set else frozenset, arguments[0])
    if issubclass(origin, Sequence):
        return _items_codec(list if origin is list else tuple, arguments[0])
    raise TypeError(f"{hint} has no plain form")


def _class_codec(cls: Any) -> tuple[Converter | None, Converter | None]:
    if cls is Any or cls is object or isinstance(cls, TypeVar):
        return to_plain, None
    if cls in AS_IS or cls is None:
        return None, None
    if cls is Decimal:
        return str, _decimal
    if not isinstance(cls, type):
        raise TypeError(f"{cls} has no plain form")
    if issubclass(cls, Enum):
        return attrgetter("_value_"), cls
    if is_dataclass(cls) and not cls.__subclasses__():
        return _lazy(cls)
    if issubclass(cls, list | tuple | Mapping):
        return to_plain, tuple if issubclass(cls, tuple) else None
    return _tagged_codec(cls)


def _lazy(cls: type) -> tuple[Converter, Converter]:
    """A dataclass' converters, looked up at use, so that a class may hold itself."""

    def encode(value: Any) -> Any:
        return _dataclass_codec(cls)[0](value)

    def decode(plain: Any) -> Any:
        return _dataclass_codec(cls)[1](plain)

    return encode, decode


@cache
def _dataclass_codec(cls: Any) -> tuple[Converter, Converter]:
    hints = typing.get_type_hints(cls)
    own = [f for f in fields(cls) if f.init]
    names = tuple(f.name for f in own)
    known = frozenset(names)
    optional = {f.name for f in own if f.default is not MISSING or f.default_factory is not MISSING}
    codecs = {name: _codec(hints[name]) for name in names}
    encoders = tuple((name, encode) for name, (encode, _) in codecs.items() if encode is not None)
    decoders = tuple((name, decode) for name, (_, decode) in codecs.items() if decode is not None)
    getter: Converter = attrgetter(*names) if len(names) > 1 else _getter(names)

    def to_dict(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise TypeError(f"{value!r} is not a {cls.__qualname__}")
        plain = dict(zip(names, getter(value), strict=True))
        for name, encode in encoders:
            plain[name] = encode(plain[name])
        return plain

    def from_dict(plain: Any) -> Any:
        arguments = dict(plain)
        if arguments.keys() != known:
            if unknown := arguments.keys() - known:
                raise ValueError(f"{cls.__qualname__} has no {', '.join(sorted(unknown))} in this version")
            if missing := known - optional - arguments.keys():
                raise ValueError(f"{cls.__qualname__} needs {', '.join(sorted(missing))}")
        for name, decode in decoders:
            if name in arguments:
                arguments[name] = decode(arguments[name])
        return cls(**arguments)

    return to_dict, from_dict


def _getter(names: tuple[str, ...]) -> Converter:
    """What `attrgetter` does, for none or one name too."""
    return lambda value: tuple(getattr(value, name) for name in names)


def _union_codec(members: tuple[Any, ...]) -> tuple[Converter | None, Converter | None]:
    others = [m for m in members if m is not type(None)]
    if len(others) == 1:
        return _optional(*_codec(others[0]))
    tagged = {m.__name__: (m, *_codec(m)) for m in others if m not in AS_IS}
    if not tagged:
        return None, None
    by_class = {m: (name, encode) for name, (m, encode, _) in tagged.items()}

    def encode_member(value: Any) -> Any:
        cls = type(value)
        if cls in AS_IS:
            return value
        name, encode = by_class[cls]
        return {"$": name, "=": value if encode is None else encode(value)}

    def decode_member(plain: Any) -> Any:
        if type(plain) is not dict:
            return plain
        decode = tagged[plain["$"]][2]
        return plain["="] if decode is None else decode(plain["="])

    return encode_member, decode_member


def _optional(encode: Converter | None, decode: Converter | None) -> tuple[Converter | None, Converter | None]:
    def encode_some(value: Any) -> Any:
        return None if value is None else encode(value)  # type: ignore[misc]

    def decode_some(plain: Any) -> Any:
        return None if plain is None else decode(plain)  # type: ignore[misc]

    return (encode and encode_some), (decode and decode_some)


def _tagged_codec(base: Any) -> tuple[Converter, Converter]:
    """A base class: the value's own class is named beside it."""

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, base):
            raise TypeError(f"{value!r} is not a {base.__qualname__}")
        cls: Any = type(value)
        return {"$": cls.__name__, "=": _dataclass_codec(cls)[0](value)}

    def decode(plain: Any) -> Any:
        return _dataclass_codec(_descendant(base, plain["$"]))[1](plain["="])

    return encode, decode


@cache
def _descendant(base: Any, name: str) -> type:
    waiting: list[type] = [base]
    while waiting:
        cls = waiting.pop()
        if cls.__name__ == name and is_dataclass(cls):
            return cls
        waiting.extend(cls.__subclasses__())
    raise ValueError(f"no {base.__qualname__} is called {name}")


def _items_codec(kind: Callable[[Any], Any], item: Any) -> tuple[Converter, Converter]:
    encode, decode = _codec(item)
    ordered = kind in (list, tuple)

    def encode_items(values: Any) -> list[Any]:
        plain = list(values) if encode is None else [encode(value) for value in values]
        return plain if ordered else sorted(plain, key=repr)

    def decode_items(plain: Any) -> Any:
        return kind(plain) if decode is None else kind([decode(value) for value in plain])

    return encode_items, decode_items


def _fixed_tuple_codec(members: tuple[Any, ...]) -> tuple[Converter, Converter]:
    codecs = [_codec(m) for m in members]

    def encode(values: Any) -> list[Any]:
        return [v if c[0] is None else c[0](v) for v, c in zip(values, codecs, strict=True)]

    def decode(plain: Any) -> Any:
        return tuple(v if c[1] is None else c[1](v) for v, c in zip(plain, codecs, strict=True))

    return encode, decode


def _mapping_codec(key: Any, item: Any) -> tuple[Converter, Converter]:
    encode, decode = _codec(item)
    decode_key: Converter = key if key is int or (isinstance(key, type) and issubclass(key, Enum | Decimal)) else str

    def encode_mapping(values: Any) -> dict[str, Any]:
        return {_key(k): v if encode is None else encode(v) for k, v in values.items()}

    def decode_mapping(plain: Any) -> dict[Any, Any]:
        return {decode_key(k): v if decode is None else decode(v) for k, v in plain.items()}

    return encode_mapping, decode_mapping
