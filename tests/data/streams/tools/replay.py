"""Owns the answers of the self-test of drive_server.py: our own streams, and whole bodies made by the SDKs' types.

Refuses to be a model: it looks only at the step that a request names, and at whether its path and body fit it.
"""

import json
from typing import Any

from cases import dump, compact
from loopback import Answer
from make import ROOT

TEXT = "It is warm."
ARGUMENTS = {"location": "Paris"}
PATHS = {
    "anthropic": ("/v1/messages", "/v1/messages"),
    "openai-responses": ("/v1/responses", "/v1/responses"),
    "openai-chat": ("/v1/chat/completions", "/v1/chat/completions"),
    "gemini": ("/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "/models/gemini-2.5-flash:generateContent"),
    "ollama": ("/api/chat", "/api/chat"),
}


def whole(vendor: str, step: str) -> Any:
    """The body of an answer that is not streamed."""
    tool = step == "tool"
    if vendor == "anthropic":
        from anthropic import types as t
        block = (t.ToolUseBlock(type="tool_use", id="toolu_01", name="get_weather", input=ARGUMENTS) if tool
                 else t.TextBlock(type="text", text=TEXT))
        return t.Message(id="msg_01", type="message", role="assistant", model="claude-sonnet-4-5", content=[block],
                         stop_reason="tool_use" if tool else "end_turn", stop_sequence=None,
                         usage=t.Usage(input_tokens=25, output_tokens=15))
    if vendor == "openai-responses":
        from openai.types import responses as r
        from cases.openai_stream import response, usage
        item = (r.ResponseFunctionToolCall(id="fc_1", type="function_call", status="completed", call_id="call_1",
                                           name="get_weather", arguments=json.dumps(ARGUMENTS)) if tool
                else r.ResponseOutputMessage(id="msg_01", type="message", role="assistant", status="completed", content=[
                    r.ResponseOutputText(type="output_text", text=TEXT, annotations=[])]))
        return response("completed", [item], usage=usage())
    if vendor == "openai-chat":
        from openai.types import CompletionUsage
        from openai.types import chat as c
        from openai.types.chat.chat_completion import Choice
        from openai.types.chat.chat_completion_message_function_tool_call import Function
        calls = [c.ChatCompletionMessageFunctionToolCall(id="call_1", type="function", function=Function(
            name="get_weather", arguments=json.dumps(ARGUMENTS)))]
        message = c.ChatCompletionMessage(role="assistant", content=None if tool else TEXT, refusal=None,
                                          **({"tool_calls": calls} if tool else {}))
        return c.ChatCompletion(
            id="chatcmpl-01", object="chat.completion", created=1741476777, model="gpt-4.1",
            choices=[Choice(index=0, message=message, finish_reason="tool_calls" if tool else "stop", logprobs=None)],
            usage=CompletionUsage(prompt_tokens=19, completion_tokens=10, total_tokens=29))
    if vendor == "gemini":
        from cases import gemini
        return gemini.standard(dump(gemini.ending(
            [gemini.call("get_weather", ARGUMENTS, seal=gemini.SEAL) if tool else gemini.say(TEXT)])))
    from cases import ollama_chat
    return ollama_chat.end(content="" if tool else TEXT,
                           **({"tool_calls": [ollama_chat.call("get_weather", ARGUMENTS)]} if tool else {}))


def limit(vendor: str) -> Any:
    """What each vendor says with HTTP 429."""
    if vendor == "anthropic":
        return {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}, "request_id": "req_01"}
    if vendor == "gemini":
        return {"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED"}}
    if vendor == "ollama":
        return {"error": "Slow down"}
    return {"error": {"message": "Slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


class Replay:
    """Answers each step, and complains about requests that are not what the step should send."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.seen: set[str] = set()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        which = headers.get("x-drive", "")
        vendor, mode, step = which.split("/")
        sent = body.decode()
        if which in self.seen:
            self.complaints.append(f"{which}: asked again")
        self.seen.add(which)
        if vendor == "gemini":  # the SDK's own default is v1, most of the world's servers speak v1beta
            path = path.removeprefix("/v1beta").removeprefix("/v1")
        if path != PATHS[vendor][mode == "whole"]:
            self.complaints.append(f"{which}: another path: `{path}`")
        wanted = {"text": "drive: text", "tool": "drive: tool", "after": "21 degrees", "limit": "drive: limit"}[step]
        if wanted not in sent or "get_weather" not in sent:
            self.complaints.append(f"{which}: not in the request: `{wanted}`")
        if step == "after" and vendor == "gemini" and "thought_signature" not in sent and "thoughtSignature" not in sent \
                and mode == "whole":
            self.complaints.append(f"{which}: the signature did not come back")
        if step == "limit":
            return 429, {"content-type": "application/json", "retry-after": "1"}, compact(limit(vendor)).encode()
        if mode == "whole":
            return 200, {"content-type": "application/json"}, compact(dump(whole(vendor, step))).encode()
        suffix, kind = ("ndjson", "application/x-ndjson") if vendor == "ollama" else ("sse", "text/event-stream")
        case = "tool" if step == "tool" else "text"
        return 200, {"content-type": kind}, (ROOT / vendor / f"{case}.{suffix}").read_bytes()
