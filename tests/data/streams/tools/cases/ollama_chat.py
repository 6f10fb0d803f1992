"""Owns the Ollama /api/chat streams.

Refuses the compatible endpoint under /v1: that is OpenAI Chat Completions.
"""

from typing import Any, Iterator

from ollama import ChatResponse, Message
from ollama._types import Logprob

from . import HAND, HARD_TEXT, Case, by_us, compact, dump, lines, pieces, words

WHO = {"model": "qwen3:4b", "created_at": "2025-01-01T00:00:00.000000001Z"}
TIMES = {"total_duration": 4883583458, "load_duration": 1334875, "prompt_eval_duration": 342546000,
         "eval_duration": 4535599000}


def said(content: str = "", **more: Any) -> ChatResponse:
    return ChatResponse(**WHO, message=Message(role="assistant", content=content, **more), done=False)


def end(reason: str | None = "stop", prompt: int | None = 26, output: int | None = 298, **message: Any) -> ChatResponse:
    fields: dict[str, Any] = {} if reason is None else {"done_reason": reason}
    fields |= {} if prompt is None else {"prompt_eval_count": prompt}
    fields |= {} if output is None else {"eval_count": output}
    return ChatResponse(**WHO, message=Message(**({"role": "assistant", "content": ""} | message)), done=True, **fields, **TIMES)


def call(name: str, arguments: dict[str, Any]) -> Message.ToolCall:
    return Message.ToolCall(function=Message.ToolCall.Function(name=name, arguments=arguments))


# --- Made by the SDK's own types ------------------------------------------------------------------


def made() -> Iterator[Case]:
    yield Case("text", lines([said("Hello"), said(", "), said("world!"), end()]), shows="the plainest answer")
    yield Case("text-one-line", lines([end(content="Hello")]), shows="everything in the last line")
    # Without U+0085, which Go does not escape and the SDK takes for the end of a line: see by_hand.
    yield Case("text-unicode", lines([*[said(text.replace("\u0085", "")) for text in HARD_TEXT], said("<&>"), end()]),
               shows="characters of two to four bytes, line ends inside JSON, separators, what Go escapes")
    yield Case("empty", lines([end(output=1)]), shows="an answer without words")
    yield Case("thinking", lines([said(thinking="Let me"), said(thinking=" see"), said("Done"), said("."), end()]),
               shows="thinking, then words")
    yield Case("thinking-with-text", lines([said("a", thinking="x"), said("b", thinking="y"), end()]),
               shows="thinking and words in one line")
    yield Case("tool", lines([said(tool_calls=[call("get_weather", {"city": "Paris", "days": 2})]), end()]),
               shows="a whole call, without an id, and stop as the reason")
    yield Case("tool-no-arguments", lines([said(tool_calls=[call("now", {})]), end()]), shows="a call without arguments")
    yield Case("tool-parallel", lines([said(tool_calls=[call("Read", {"path": "a"}), call("Read", {"path": "b"})]), end()]),
               shows="two calls in one line")
    yield Case("tool-parallel-lines", lines([said(tool_calls=[call("Read", {"path": "a"})]),
                                             said(tool_calls=[call("Grep", {"pattern": "x"})]), end()]),
               shows="two calls in two lines")
    yield Case("tool-identical", lines([said(tool_calls=[call("Read", {"path": "a"})]),
                                        said(tool_calls=[call("Read", {"path": "a"})]), end()]),
               shows="two identical calls are both real")
    yield Case("tool-thinking-text", lines([said(thinking="I need a file"), said("Reading."),
                                            said(tool_calls=[call("Read", {"path": "a"})]), end()]),
               shows="thinking, words and a call")
    yield Case("tool-last-line", lines([end(tool_calls=[call("Read", {"path": "a"})])]), shows="the call in the last line")
    deep = {"a": {"b": [1, 2.5, True, None, {"c": "}]\"{["}], "": ""}, "文": "🦀\r\n\u0000"}
    yield Case("tool-nested", lines([said(tool_calls=[call("deep", deep)]), end()]), shows="nested arguments")
    for reason in ("length", "load", "unload"):
        yield Case(f"done-{reason}", lines([said("so far"), end(reason)]))
    yield Case("done-no-reason", lines([said("Hi"), end(None)]), shows="older servers give no reason")
    yield Case("usage-no-prompt", lines([said("Hi"), end(prompt=None)]), shows="a cached prompt is not counted at all")
    yield Case("usage-missing", lines([said("Hi"), end(prompt=None, output=None)]), shows="no counts")
    scored = ChatResponse(**WHO, message=Message(role="assistant", content="Hi"), done=False,
                          logprobs=[Logprob(token="Hi", logprob=-0.1)])
    yield Case("logprobs", lines([scored, end()]), shows="log probabilities beside the words")
    yield Case("large-40k", lines([
        *[said(text) for text in pieces(words(920), 20)],
        said(tool_calls=[call("Write", {"path": "notes/large.txt", "content": words(900, seed=7)})]),
        said(tool_calls=[call("Grep", {"pattern": "fn main", "limit": 20})]), end()]), shows="40 KiB of text and two calls")


# --- By hand: what the SDK's types do not know, cuts, and what only wire bytes can say -------------


def by_hand() -> Iterator[Case]:
    yield Case("error-line", lines([said("Part"), {"error": "model runner has unexpectedly stopped"}]), HAND,
               "an error after HTTP 200")
    yield Case("error-first", lines([{"error": "an error was encountered while running the model: unexpected EOF"}]), HAND,
               "an error as the only line")
    numbered = {"id": "call_ab12", "function": {"index": 0, "name": "Read", "arguments": {"path": "a"}}}
    line = dump(said()) | {"message": {"role": "assistant", "content": "", "tool_calls": [numbered]}}
    yield Case("tool-id", lines([line, end()]), HAND, "newer servers give calls an id and an index",
               "the SDK's type knows no id and drops it",
               by_us(calls=[{"id": "call_ab12", "name": "Read", "arguments": {"path": "a"}}], stop="stop",
                     tokens=(26, 298)))
    odd = dump(said("Hi"))
    odd["message"]["mood"] = "fine"
    odd["remote_host"] = "x"
    yield Case("fields-unknown", lines([odd, end()]), HAND, "fields that do not exist yet")
    separated = compact(dump(said("one\u0085two\u2028three"))).encode() + b"\n"
    yield Case("text-line-separators", separated + lines([end()]), HAND,
               "characters that are line ends for some languages, but not in this format",
               "the SDK splits lines at them and fails on the halves",
               by_us(["one\u0085two\u2028three"], stop="stop", tokens=(26, 298)))
    yield Case("done-unknown", lines([said("Hi"), dump(end()) | {"done_reason": "lunch"}]), HAND,
               "a reason that does not exist yet")
    yield Case("null-fields", lines([
        WHO | {"message": {"role": "assistant", "content": "Hi", "thinking": None, "tool_calls": None}, "done": False}, end()]),
        HAND, "nulls where fields are absent")
    full = lines([said("Some words."), said(tool_calls=[call("Read", {"path": "a.txt"})]), end()])
    yield Case(
        "cut-before-done", lines([said("Some words."), said(tool_calls=[call("Read", {"path": "a.txt"})])]), HAND,
        "cut after a whole call, before the last line")
    yield Case("cut-in-line", full[:-100], HAND, "cut inside the last line",
               "the SDK fails on the half line as on any text that is no JSON; the stream was cut",
               by_us(["Some words."], [{"id": None, "name": "Read", "arguments": {"path": "a.txt"}}],
                     error="disconnected"))
    yield Case("cut-nothing", b"", HAND, "HTTP 200 and not one byte")
    yield Case("framing-last-newline-missing", full[:-1], HAND, "the last line has no end")
    yield Case("framing-crlf", full.replace(b"\n", b"\r\n"), HAND, "lines end with CR LF")


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
