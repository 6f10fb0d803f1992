#!/usr/bin/env python3
"""Replays every stream through the vendor's real client and writes what it read as <case>.expected.json.

Refuses to parse a stream by itself. `--check` writes nothing and fails on any difference.
"""

import argparse
import base64
import difflib
import json
import logging
import sys
import warnings
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any, Callable

from loopback import Clients, Loopback, forget_environment
from make import ROOT, all_cases

# The vendors' words for what went wrong, in the words of this crate's ErrorKind.
KINDS = {
    "rate_limit_error": "rate_limited", "rate_limit_exceeded": "rate_limited", "RESOURCE_EXHAUSTED": "rate_limited",
    "429": "rate_limited",
    "insufficient_quota": "quota_exhausted", "billing_error": "quota_exhausted",
    "overloaded_error": "overloaded", "UNAVAILABLE": "overloaded", "529": "overloaded", "503": "overloaded",
    "api_error": "server", "server_error": "server", "INTERNAL": "server", "500": "server", "502": "server",
    "timeout_error": "timeout", "DEADLINE_EXCEEDED": "timeout", "vector_store_timeout": "timeout",
    "invalid_request_error": "bad_request", "INVALID_ARGUMENT": "bad_request", "invalid_prompt": "bad_request",
    "bio_policy": "bad_request",
    "context_length_exceeded": "context_too_long",
    "authentication_error": "auth", "permission_error": "forbidden", "not_found_error": "not_found",
}


class Reading:
    """What a client made of one stream, in the form that expected files have."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.opaque: list[str] = []
        self.order: list[str] = []
        self.seals: list[dict[str, str]] = []
        self.refusal: str | None = None
        self.stop_raw: str | None = None
        self.usage: dict[str, int] | None = None
        self.error: str | None = None
        self.error_raw: str | None = None
        self.raised: str | None = None

    def add(self, what: str, value: Any, seal: str | None = None) -> None:
        if not value and not seal:  # an empty block without a seal says nothing and must not be sent back
            return
        getattr(self, what if what in ("text", "thinking", "opaque") else "calls").append(value)
        self.order.append(what)
        if seal:
            self.seals.append({"of": what, "value": seal})

    def call(self, id: str | None, name: str, arguments: Any, seal: str | None = None, **more: Any) -> None:
        """Arguments are a dict, or the text of one; anything else is malformed and kept as text."""
        entry: dict[str, Any] = {"id": id, "name": name}
        if isinstance(arguments, str):
            raw = arguments
            try:
                arguments = json.loads(raw) if raw.strip() else {}
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                entry["malformed"] = raw
                arguments = None
        entry["arguments"] = arguments
        self.add("call", entry | more, seal)

    def count(self, input: int, output: int, cache_read: int = 0, cache_write: int = 0, cache_write_hour: int = 0,
              reasoning: int = 0) -> None:
        self.usage = {"input": input, "output": output, "cache_read": cache_read, "cache_write": cache_write,
                      "cache_write_hour": cache_write_hour, "reasoning": reasoning}

    def fail(self, word: str | None, error: BaseException | None = None) -> None:
        """`word` is the vendor's own; without one the answer broke off, or the error was only prose."""
        self.error_raw = word
        self.error = KINDS.get(word or "", "server")
        self.raised = None if error is None else type(error).__name__

    def cut(self) -> None:
        self.error = "disconnected"

    def json(self) -> dict[str, Any]:
        names = ("text", "thinking", "calls", "refusal", "opaque", "order", "seals", "stop_raw", "usage", "error",
                 "error_raw", "raised")
        return {name: getattr(self, name) for name in names}


def anthropic(clients: Clients, case: str) -> Reading:
    from anthropic import APIStatusError
    reading = Reading()
    client = clients.anthropic()
    api = client.beta.messages if case.startswith("beta-") else client.messages
    fragments: dict[int, str] = {}
    finished = False
    ask = [{"role": "user", "content": "go"}]
    with api.stream(model="claude-sonnet-4-5", max_tokens=1024, messages=ask) as stream:
        try:
            for event in stream:
                finished |= event.type == "message_stop"
                if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                    fragments[event.index] = fragments.get(event.index, "") + event.delta.partial_json
        except APIStatusError as error:
            reading.fail(error.body["error"]["type"], error)
        else:
            if not finished:
                reading.cut()
        try:
            message = stream.current_message_snapshot
        except AssertionError:  # not one event came
            return reading
    for index, block in enumerate(message.content):
        if block.type == "text":
            reading.add("text", block.text)
        elif block.type == "thinking":
            reading.add("thinking", block.thinking, block.signature)
        elif block.type == "tool_use":
            raw = fragments.get(index, "")
            # The SDK reads half JSON leniently; the fragments it handed out decide whether it was whole.
            reading.call(block.id, block.name, raw if raw.strip() else block.input)
            whole = reading.calls[-1]["arguments"]
            if whole is not None and whole != block.input:
                raise SystemExit(f"the SDK's arguments are not its fragments: `{case}`")
        else:
            reading.add("opaque", block.type)
    reading.stop_raw = message.stop_reason
    if message.stop_details is not None:
        reading.refusal = message.stop_details.explanation
    usage = message.usage
    hour = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0
    reading.count(
        usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens or 0,
        (usage.cache_creation_input_tokens or 0) - hour, hour,
        usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0)
    return reading


def openai_responses(clients: Clients, case: str) -> Reading:
    from openai import APIError
    reading = Reading()
    items: dict[int, Any] = {}
    growing: dict[int, str] = {}
    final = None
    with clients.openai().responses.stream(model="gpt-5.1", input="go") as stream:
        try:
            for event in stream:
                if event.type in ("response.output_item.added", "response.output_item.done"):
                    items[event.output_index] = event.item
                    if event.type == "response.output_item.done":
                        growing.pop(event.output_index, None)
                elif event.type in ("response.output_text.delta", "response.function_call_arguments.delta"):
                    growing[event.output_index] = event.snapshot
                elif event.type in ("response.completed", "response.incomplete", "response.failed"):
                    final = event.response
                elif event.type == "error":
                    reading.fail(event.code)
        except APIError as error:
            reading.fail(error.code or error.type, error)
    if final is None and reading.error is None:
        reading.cut()
    if final is None:
        output = [(items[index], growing.get(index)) for index in sorted(items)]
    else:
        output = [(item, None) for item in final.output]
    for item, half in output:
        if item.type == "message":
            if half is not None:
                reading.add("text", half)
            for part in item.content if half is None else []:
                if part.type == "output_text":
                    reading.add("text", part.text)
                else:
                    reading.refusal = (reading.refusal or "") + part.refusal
        elif item.type == "reasoning":
            words = [part.text for part in [*item.summary, *(item.content or [])]]
            for text in words[:-1]:
                reading.add("thinking", text)
            reading.add("thinking", words[-1] if words else "", item.encrypted_content)
        elif item.type == "function_call":
            reading.call(item.call_id, item.name, item.arguments if half is None else half)
        elif item.type == "custom_tool_call":
            reading.call(item.call_id, item.name, None, custom=item.input)
        else:
            reading.add("opaque", item.type)
    if final is not None:
        reading.stop_raw = final.incomplete_details.reason if final.incomplete_details else final.status
        if final.error is not None:
            reading.fail(final.error.code)
        if final.usage is not None:
            usage, before, after = final.usage, final.usage.input_tokens_details, final.usage.output_tokens_details
            written = before.cache_write_tokens or 0
            reading.count(usage.input_tokens - before.cached_tokens - written, usage.output_tokens,
                          before.cached_tokens, written, 0, after.reasoning_tokens)
    return reading


def openai_chat(clients: Clients, case: str) -> Reading:
    from openai import APIError
    reading = Reading()
    ask = [{"role": "user", "content": "go"}]
    with clients.openai().chat.completions.stream(
        model="gpt-4.1", messages=ask, stream_options={"include_usage": True}
    ) as stream:
        try:
            for _ in stream:
                pass
        except APIError as error:
            words = error.body if isinstance(error.body, dict) else {}
            code = words.get("code") or words.get("type")
            reading.fail(None if code is None else str(code), error)
        try:
            completion = stream.current_completion_snapshot
        except AssertionError:  # not one chunk came
            if reading.error is None:
                reading.cut()
            return reading
    for choice in completion.choices[:1]:
        message = choice.message
        extra = message.model_extra or {}
        thought = extra.get("reasoning_content") or extra.get("reasoning")
        if thought:
            reading.add("thinking", thought)
        if message.content:
            reading.add("text", message.content)
        for call in message.tool_calls or []:
            arguments = call.function.arguments
            reading.call(call.id, call.function.name, "" if arguments is None else arguments)
        if message.function_call is not None:
            reading.call(None, message.function_call.name, message.function_call.arguments)
        reading.refusal = message.refusal or None
        reading.stop_raw = choice.finish_reason or None
    if reading.stop_raw is None and reading.error is None:
        reading.cut()
    usage = completion.usage
    if usage is not None:
        before, after = usage.prompt_tokens_details, usage.completion_tokens_details
        cached = (before and before.cached_tokens) or 0
        written = (before and before.cache_write_tokens) or 0
        reading.count(usage.prompt_tokens - cached - written, usage.completion_tokens, cached, written, 0,
                      (after and after.reasoning_tokens) or 0)
    return reading


def gemini(clients: Clients, case: str) -> Reading:
    from google.genai.errors import APIError, UnknownApiResponseError
    reading = Reading()
    client = clients.gemini()  # a name of its own: the SDK closes the connection of a client that is let go
    open_kind: str | None = None  # the kind of the last part, while an unsigned part of that kind may join it
    try:
        for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents="go"):
            candidate = chunk.candidates[0] if chunk.candidates else None
            for part in (candidate and candidate.content and candidate.content.parts) or []:
                seal = base64.b64encode(part.thought_signature).decode() if part.thought_signature else None
                fields = [name for name in part.model_fields_set if name not in ("thought", "thought_signature")]
                if part.text is not None:
                    kind = "thinking" if part.thought else "text"
                    if kind == open_kind and seal is None:
                        getattr(reading, kind)[-1] += part.text
                    elif part.text or seal:
                        reading.add(kind, part.text, seal)
                        open_kind = kind if seal is None else None
                elif part.function_call is not None:
                    call = part.function_call
                    reading.call(call.id, call.name, call.args or {}, seal)
                    open_kind = None
                else:
                    head, *tail = "".join(fields).split("_")
                    reading.add("opaque", head + "".join(word.capitalize() for word in tail) or "?", seal)
                    open_kind = None
            if candidate and candidate.finish_reason:
                reading.stop_raw = candidate.finish_reason.value
            if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
                reading.stop_raw = chunk.prompt_feedback.block_reason.value
                reading.refusal = chunk.prompt_feedback.block_reason_message
            usage = chunk.usage_metadata
            if usage is not None:
                cached, thoughts = usage.cached_content_token_count or 0, usage.thoughts_token_count or 0
                reading.count(
                    (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0) - cached,
                    (usage.candidates_token_count or 0) + thoughts, cached, 0, 0, thoughts)
    except UnknownApiResponseError as error:
        reading.cut()
        reading.raised = type(error).__name__
    except APIError as error:
        reading.fail(error.status, error)
    else:
        if reading.stop_raw is None:
            reading.cut()
    return reading


def ollama(clients: Clients, case: str) -> Reading:
    from ollama import ResponseError
    reading = Reading()
    text, thinking, finished = "", "", False

    def settle() -> None:
        nonlocal text, thinking
        if thinking:
            reading.add("thinking", thinking)
        if text:
            reading.add("text", text)
        text = thinking = ""

    try:
        for chunk in clients.ollama().chat(model="qwen3:4b", messages=[{"role": "user", "content": "go"}], stream=True):
            message = chunk.message
            text += message.content or ""
            thinking += message.thinking or ""
            for call in message.tool_calls or []:
                settle()
                reading.call(None, call.function.name, dict(call.function.arguments))
            if chunk.done:
                finished = True
                reading.stop_raw = chunk.done_reason
                if chunk.prompt_eval_count is not None or chunk.eval_count is not None:
                    reading.count(chunk.prompt_eval_count or 0, chunk.eval_count or 0)
    except ResponseError as error:
        settle()
        reading.fail(None, error)
        return reading
    settle()
    if not finished:
        reading.cut()
    return reading


READERS: dict[str, Callable[[Clients, str], Reading]] = {
    "anthropic": anthropic, "openai-responses": openai_responses, "openai-chat": openai_chat, "gemini": gemini,
    "ollama": ollama,
}


def read(clients: Clients, vendor: str, case: str) -> dict[str, Any]:
    try:
        return READERS[vendor](clients, case).json()
    except SystemExit:
        raise
    except Exception as error:  # the SDK gave up on the stream in a way that is no API error
        return {"raised": type(error).__name__}


def expected(vendor: str, suffix: str, case: Any, base: str) -> dict[str, Any]:
    """What stands in the expected file of a case."""
    clients = Clients(base, {"x-case": f"{vendor}/{case.name}.{suffix}"})
    seen = read(clients, vendor, case.name)
    if case.quirk is not None:
        if all(seen.get(name) == value for name, value in case.expect.items()):
            raise SystemExit(f"the SDK reads this as expected, so it is no quirk: `{vendor}/{case.name}`")
        return {"source": case.source, "quirk": case.quirk} | case.expect | {"sdk": seen}
    return {"source": case.source} | seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("only", nargs="*", help="vendor/case, all by default")
    options = parser.parse_args()
    forget_environment()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        file = headers["x-case"]
        kind = "application/x-ndjson" if file.endswith(".ndjson") else "text/event-stream"
        return 200, {"content-type": kind}, (ROOT / file).read_bytes()

    for line in (ROOT / "tools/requirements.txt").read_text().splitlines():
        name, found, version = line.partition("==")
        if found and metadata.version(name) != version:
            raise SystemExit(f"another version is installed: `{name} {metadata.version(name)}`, pinned: `{version}`")
    counts: Counter[str] = Counter()
    quirks: Counter[str] = Counter()
    wrong = 0
    with Loopback(answer) as server:
        for vendor, suffix, case in all_cases():
            if options.only and f"{vendor}/{case.name}" not in options.only:
                continue
            value = expected(vendor, suffix, case, server.url)
            if case.quirk is None and "text" not in value:
                print(f"the SDK gave up, so this needs an expectation by hand: `{vendor}/{case.name}`: {value}",
                      file=sys.stderr)
                wrong += 1
            new = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
            path = Path(ROOT / vendor / f"{case.name}.expected.json")
            old = path.read_text() if path.exists() else ""
            counts[vendor] += 1
            quirks[vendor] += case.quirk is not None
            if not options.check:
                path.write_text(new)
            elif new != old:
                wrong += 1
                name = str(path.relative_to(ROOT))
                sys.stderr.writelines(difflib.unified_diff(
                    old.splitlines(True), new.splitlines(True), name, f"{name} (read now)"))
    for vendor in READERS:
        if counts[vendor]:
            print(f"{vendor}: {counts[vendor]} cases, {quirks[vendor]} of them with an expectation by hand")
    if wrong:
        print(f"{wrong} of {sum(counts.values())} cases differ", file=sys.stderr)
        return 1
    print(f"all: {sum(counts.values())} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
