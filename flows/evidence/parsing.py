"""JSON and YAML from a stranger: size, depth, count of values and length of numbers are bounded before any is built."""

import json
import math
import re
from functools import lru_cache
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

from flows.evidence.reading import PARSED_BYTES, Budget

JSON_DEPTH = 64
JSON_VALUES = 1_000_000
YAML_BYTES = 2 << 20
YAML_DEPTH = 32
YAML_VALUES = 60_000  # aliases counted as what they stand for
DIGITS = 100  # of a number

# Possessive, so that a quote that is never closed is passed over once and not again from each place in it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NUMBER = re.compile(r"[-+]?[0-9.][0-9a-fA-FxXoO_.:eE+-]*")
_OTHERS = bytes(each for each in range(256) if each not in b"[]{}")

T = TypeVar("T")


def parse_json(data: bytes, budget: Budget | None = None) -> Any:
    """Parse JSON as the standard has it: one key once, no NaN; ValueError that says what is wrong.

    budget: how many values may still be read, of this file and those after it.
    """
    if len(data) > PARSED_BYTES:
        raise ValueError(f"{len(data)} bytes of JSON; at most {PARSED_BYTES} are read")
    bare = _STRING.sub(b"", data)
    count = bare.count(b",") + bare.count(b"[") + bare.count(b"{")
    if count > JSON_VALUES:
        raise ValueError(f"more than {JSON_VALUES} values of JSON")
    if budget:
        budget.spend("JSON", count)
    depth = 0
    for bracket in bare.translate(None, _OTHERS):
        depth += 1 if bracket in b"[{" else -1
        if depth < 0:
            break  # no JSON, as the parser is about to say
        if depth > JSON_DEPTH:
            raise ValueError(f"JSON more than {JSON_DEPTH} levels deep")
    read = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_unique,
        parse_int=_read_int,
        parse_float=_read_float,
        parse_constant=_refuse,
    )
    if _SURROGATE.search(data):
        json.dumps(read, ensure_ascii=False).encode()  # half a pair cannot be written
    return read


@lru_cache(maxsize=4)
def parse_yaml(data: bytes) -> Any:
    """Parse YAML 1.2, as DVC does (in YAML 1.1 `1e-8` is a word); ValueError that says what is wrong.

    Of the same bytes it returns the same object, not to be changed.
    """
    if len(data) > YAML_BYTES:
        raise ValueError(f"{len(data)} bytes of YAML; at most {YAML_BYTES} are read")
    try:
        text = data.decode("utf-8")
        _check_events(text)
        return YAML(typ="safe").load(text)
    except (YAMLError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(f"no YAML that is read here ({' '.join(str(error).split())})") from error


def expect(value: Any, kind: type[T], what: str) -> T:
    """A value of JSON or YAML if it is of exactly this type; ValueError with what it is."""
    if type(value) is not kind:
        raise ValueError(f"{what}: a {type(value).__name__}, no {kind.__name__}")
    return value


def _check_events(text: str) -> None:
    count, depth = 0, 0
    begun: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"alias *{event.anchor} of nothing that ends before it")
            count += sizes[event.anchor]
        elif isinstance(event, (ScalarEvent, CollectionStartEvent)):
            count += 1
            if event.tag is not None:
                raise ValueError(f"tag {event.tag}; allowed: none")
        if isinstance(event, CollectionStartEvent):
            depth += 1
            begun.append((event.anchor, count))
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
            anchor, start = begun.pop()
            if anchor:
                sizes[anchor] = count - start + 1
        elif isinstance(event, ScalarEvent):
            if event.anchor:
                sizes[event.anchor] = 1
            if event.implicit[0] and len(event.value) > DIGITS and _NUMBER.fullmatch(event.value):
                raise ValueError(f"a number of {len(event.value)} digits; at most {DIGITS} are read")
        if count > YAML_VALUES:
            raise ValueError(f"more than {YAML_VALUES} values, with what aliases stand for")
        if depth > YAML_DEPTH:
            raise ValueError(f"more than {YAML_DEPTH} levels deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key twice, among {', '.join(found)!r:.80}")
    return found


def _read_int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text)} digits; at most {DIGITS} are read")
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _refuse(text: str) -> Any:
    raise ValueError(f"{text}, which is no JSON")
