"""Owns what a case is and how the vendors' objects become bytes on the wire.

Refuses to say what a stream means: that is the SDKs' word, heard in decode.py.
"""

import json
from dataclasses import dataclass
from typing import Any, Iterable

from pydantic import BaseModel

SDK = "sdk"  # every event was built, and so validated, by the SDK's own types
HAND = "hand"  # at least one byte is ours: a compatible's quirk, a cut, an event the SDK has no type for


@dataclass(frozen=True)
class Case:
    """One stream.

    `quirk` says why the SDK's own reading is not what a good client should make of the bytes; the
    expectation is then `expect`, made by hand, and the SDK's reading is kept beside it under "sdk".
    """

    name: str
    body: bytes
    source: str = SDK
    shows: str = ""
    quirk: str | None = None
    expect: dict[str, Any] | None = None


def by_us(text: list[str] | None = None, calls: list[dict[str, Any]] | None = None, stop: str | None = None,
          tokens: tuple[int, int] | None = None, order: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """An expectation by hand, in the form that decode.py writes. `tokens` are input and output."""
    text, calls = text or [], calls or []
    names = ("input", "output", "cache_read", "cache_write", "cache_write_hour", "reasoning")
    return {
        "text": text, "thinking": [], "calls": calls, "refusal": None, "opaque": [],
        "order": order or ["text"] * len(text) + ["call"] * len(calls), "seals": [], "stop_raw": stop,
        "usage": None if tokens is None else dict(zip(names, (*tokens, 0, 0, 0, 0))), "error": None, "error_raw": None,
    } | more


# Words that break decoders which cut bytes where they should cut characters, or lines where they
# should not: two to four byte characters, a joined emoji, combining marks, right-to-left text,
# carriage returns, and the separators that some languages take for line ends.
HARD_TEXT = [
    "漢字と仮名、",
    "한국어 · ",
    "🦀👩‍👩‍👧‍👦🏳️‍🌈",
    "e\u0301 ",
    "\u05e9\u05dc\u05d5\u05dd ",
    "line\r\nnext\rlast\n\n",
    "\u2028\u2029\u0085",
    "data: not an event\n\ndata: [DONE]\n\n",
    "\u0000\u001b[31m\ufeff\\ \" / \u00a0",
    "end.",
]


def words(count: int, seed: int = 1) -> str:
    """The same harmless prose every time, without asking a random generator for it."""
    stock = (
        "the a small agent reads one file and then another before it says what it has found "
        "because every number in an answer should come from something that was really there"
    ).split()
    out, state = [], seed
    for number in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        word = stock[(state >> 16) % len(stock)]
        out.append(word + (".\n" if number % 19 == 18 else " "))
    return "".join(out)


def pieces(text: str, size: int) -> list[str]:
    """The text in pieces of `size` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def compact(value: Any) -> str:
    """JSON as servers write it: no spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def type_first(value: Any) -> Any:
    """Puts "type" before its siblings, as the servers do; the SDKs' types declare it last."""
    if isinstance(value, dict):
        head = {"type": value["type"]} if "type" in value else {}
        return head | {key: type_first(inner) for key, inner in value.items() if key != "type"}
    if isinstance(value, list):
        return [type_first(inner) for inner in value]
    return value


def no_extras(value: Any) -> None:
    """The SDKs' types let unknown fields pass; what claims to be made by them must not have any."""
    if isinstance(value, BaseModel):
        if value.model_extra:
            raise SystemExit(f"the SDK's type `{type(value).__name__}` has no field: `{sorted(value.model_extra)}`")
        for name in value.model_fields_set:
            no_extras(getattr(value, name))
    elif isinstance(value, dict):
        for inner in value.values():
            no_extras(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            no_extras(inner)


def dump(event: Any) -> dict[str, Any]:
    """The wire form of an event: an SDK object, or a dict that is ours."""
    if isinstance(event, dict):
        return event
    no_extras(event)
    return type_first(event.model_dump(mode="json", by_alias=True, exclude_unset=True))


def named_sse(events: Iterable[Any]) -> bytes:
    """Events with names, as Anthropic Messages and OpenAI Responses send them; bytes pass through."""
    out = b""
    for event in events:
        if isinstance(event, bytes):
            out += event
            continue
        value = dump(event)
        out += f"event: {value['type']}\ndata: {compact(value)}\n\n".encode()
    return out


def type_last_sse(events: Iterable[Any]) -> bytes:
    """Events with names, their fields in the order of the SDK's types, which put "type" behind its siblings."""
    return b"".join(f"event: {e.type}\ndata: {e.model_dump_json(by_alias=True, exclude_unset=True)}\n\n".encode()
                    for e in events)


def plain_sse(events: Iterable[Any], end: str = "\n") -> bytes:
    """Events without names; bytes pass through."""
    out = b""
    for event in events:
        out += event if isinstance(event, bytes) else f"data: {compact(dump(event))}{end}{end}".encode()
    return out


def lines(events: Iterable[Any]) -> bytes:
    """One JSON text for each line, as Ollama sends them; bytes pass through.

    Its server is written in Go, whose encoder escapes these five characters and no others.
    """
    out = b""
    for event in events:
        text = event if isinstance(event, bytes) else compact(dump(event))
        if isinstance(text, str):
            for letter in "<>&\u2028\u2029":
                text = text.replace(letter, f"\\u{ord(letter):04x}")
            text = text.encode() + b"\n"
        out += text
    return out
