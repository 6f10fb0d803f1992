#!/usr/bin/env python3
"""Drives a server that claims to speak the vendors' APIs with each official SDK and reports what they decoded.

Refuses to judge words: the report says what came, `ok` says whether the shape was right.

For each vendor, first streaming and then not, it sends four requests in this order:
  text   asks "drive: text", wants words;
  tool   asks "drive: tool" with one tool `get_weather`, wants a call of it;
  after  sends the history back with the result "21 degrees" for every call, wants words;
  limit  asks "drive: limit", wants HTTP 429 and the SDK's own error for it.
Every request carries the header `x-drive: vendor/mode/step`. Nothing is retried.
Prints one JSON object; exits 1 when anything was not ok. `--self-test` drives a replay of our own streams.
"""

import argparse
import json
import logging
import sys
import warnings
from typing import Any

from loopback import Clients, Loopback, forget_environment

NAME, ABOUT, RESULT = "get_weather", "Current weather of a city", "21 degrees"
SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
VENDORS = ("anthropic", "openai-responses", "openai-chat", "gemini", "ollama")
MODES = ("stream", "whole")
STEPS = ("text", "tool", "after", "limit")


class Answer:
    """What an SDK made of one answer, and the SDK's own objects to send back as history."""

    def __init__(self, text: str | None, calls: list[dict[str, Any]], stop: Any, usage: Any, keep: list[Any]) -> None:
        self.text, self.calls, self.stop, self.usage, self.keep = text or "", calls, stop, usage, keep

    def json(self) -> dict[str, Any]:
        usage = self.usage.model_dump(mode="json", exclude_none=True) if hasattr(self.usage, "model_dump") else self.usage
        return {"text": self.text, "calls": self.calls, "stop": self.stop, "usage": usage}


def made(call: Any, name: str, arguments: Any) -> dict[str, Any]:
    return {"id": call, "name": name, "arguments": arguments}


# Each driver: ask(clients, history, streaming) -> Answer; a user's message; the messages that answer calls;
# and (status, class) of the SDK's error for HTTP 429.


class Anthropic:
    def ask(self, clients: Clients, history: list[Any], streaming: bool) -> Answer:
        asked = dict(model="claude-sonnet-4-5", max_tokens=1024, messages=history, tools=[
            {"name": NAME, "description": ABOUT, "input_schema": SCHEMA}])
        api = clients.anthropic().messages
        if streaming:
            with api.stream(**asked) as stream:
                message = stream.get_final_message()
        else:
            message = api.create(**asked)
        return Answer(
            "".join(block.text for block in message.content if block.type == "text"),
            [made(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
            message.stop_reason, message.usage, [{"role": "assistant", "content": message.content}])

    def user(self, text: str) -> Any:
        return {"role": "user", "content": text}

    def results(self, answer: Answer) -> list[Any]:
        return [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call["id"], "content": RESULT} for call in answer.calls]}]

    def limited(self, error: Exception) -> bool:
        import anthropic
        return isinstance(error, anthropic.RateLimitError)


class OpenAIResponses:
    def ask(self, clients: Clients, history: list[Any], streaming: bool) -> Answer:
        asked = dict(model="gpt-5.1", input=history, store=False, tools=[
            {"type": "function", "name": NAME, "description": ABOUT, "parameters": SCHEMA, "strict": False}])
        client = clients.openai()
        if streaming:
            with client.responses.stream(**asked) as stream:
                response = stream.get_final_response()
        else:
            response = client.responses.create(**asked)
        return Answer(
            response.output_text,
            [made(item.call_id, item.name, json.loads(item.arguments or "{}"))
             for item in response.output if item.type == "function_call"],
            response.status, response.usage,
            [item.model_dump(mode="json", exclude_none=True, exclude={"parsed_arguments"}) for item in response.output])

    def user(self, text: str) -> Any:
        return {"role": "user", "content": text}

    def results(self, answer: Answer) -> list[Any]:
        return [{"type": "function_call_output", "call_id": call["id"], "output": RESULT} for call in answer.calls]

    def limited(self, error: Exception) -> bool:
        import openai
        return isinstance(error, openai.RateLimitError)


class OpenAIChat(OpenAIResponses):
    def ask(self, clients: Clients, history: list[Any], streaming: bool) -> Answer:
        asked = dict(model="gpt-4.1", messages=history, tools=[
            {"type": "function", "function": {"name": NAME, "description": ABOUT, "parameters": SCHEMA}}])
        api = clients.openai().chat.completions
        if streaming:
            with api.stream(**asked, stream_options={"include_usage": True}) as stream:
                completion = stream.get_final_completion()
        else:
            completion = api.create(**asked)
        choice = completion.choices[0]
        calls = [made(call.id, call.function.name, json.loads(call.function.arguments or "{}"))
                 for call in choice.message.tool_calls or []]
        keep = {"role": "assistant", "content": choice.message.content, "tool_calls": [
            {"id": call["id"], "type": "function", "function": {
                "name": call["name"], "arguments": json.dumps(call["arguments"])}} for call in calls]}
        return Answer(choice.message.content, calls, choice.finish_reason, completion.usage, [keep])

    def results(self, answer: Answer) -> list[Any]:
        return [{"role": "tool", "tool_call_id": call["id"], "content": RESULT} for call in answer.calls]


class Gemini:
    def ask(self, clients: Clients, history: list[Any], streaming: bool) -> Answer:
        from google.genai import types as g
        tool = g.Tool(function_declarations=[g.FunctionDeclaration(
            name=NAME, description=ABOUT, parameters_json_schema=SCHEMA)])
        asked = dict(model="gemini-2.5-flash", contents=history, config=g.GenerateContentConfig(tools=[tool]))
        client = clients.gemini()
        chunks = (list(client.models.generate_content_stream(**asked)) if streaming
                  else [client.models.generate_content(**asked)])
        parts = [part for chunk in chunks for candidate in (chunk.candidates or [])[:1]
                 for part in ((candidate.content and candidate.content.parts) or [])]
        reasons = [candidate.finish_reason.value for chunk in chunks for candidate in (chunk.candidates or [])[:1]
                   if candidate.finish_reason]
        return Answer(
            "".join(part.text for part in parts if part.text and not part.thought),
            [made(part.function_call.id, part.function_call.name, part.function_call.args or {})
             for part in parts if part.function_call],
            reasons[-1] if reasons else None, chunks[-1].usage_metadata if chunks else None,
            [g.Content(role="model", parts=parts)])

    def user(self, text: str) -> Any:
        from google.genai import types as g
        return g.Content(role="user", parts=[g.Part(text=text)])

    def results(self, answer: Answer) -> list[Any]:
        from google.genai import types as g
        return [g.Content(role="user", parts=[g.Part(function_response=g.FunctionResponse(
            id=call["id"], name=call["name"], response={"output": RESULT})) for call in answer.calls])]

    def limited(self, error: Exception) -> bool:
        from google.genai import errors
        return isinstance(error, errors.ClientError) and error.code == 429


class Ollama:
    def ask(self, clients: Clients, history: list[Any], streaming: bool) -> Answer:
        asked = dict(model="qwen3:4b", messages=history, tools=[
            {"type": "function", "function": {"name": NAME, "description": ABOUT, "parameters": SCHEMA}}])
        answered = clients.ollama().chat(**asked, stream=streaming)
        chunks = list(answered) if streaming else [answered]
        calls = [made(None, call.function.name, dict(call.function.arguments))
                 for chunk in chunks for call in chunk.message.tool_calls or []]
        text = "".join(chunk.message.content or "" for chunk in chunks)
        last = chunks[-1]
        if not last.done:
            raise RuntimeError("the stream ended without its last line")
        keep = {"role": "assistant", "content": text, "tool_calls": [
            {"function": {"name": call["name"], "arguments": call["arguments"]}} for call in calls]}
        return Answer(text, calls, last.done_reason,
                      {"prompt_eval_count": last.prompt_eval_count, "eval_count": last.eval_count}, [keep])

    def user(self, text: str) -> Any:
        return {"role": "user", "content": text}

    def results(self, answer: Answer) -> list[Any]:
        return [{"role": "tool", "tool_name": call["name"], "content": RESULT} for call in answer.calls]

    def limited(self, error: Exception) -> bool:
        import ollama
        return isinstance(error, ollama.ResponseError) and error.status_code == 429


DRIVERS = dict(zip(VENDORS, (Anthropic(), OpenAIResponses(), OpenAIChat(), Gemini(), Ollama())))


def drive(base: str, vendor: str, mode: str, gemini_version: str | None) -> dict[str, Any]:
    """The four steps of one vendor in one mode."""
    driver, streaming = DRIVERS[vendor], mode == "stream"
    report: dict[str, Any] = {}

    def step(name: str, history: list[Any]) -> Answer | None:
        clients = Clients(base, {"x-drive": f"{vendor}/{mode}/{name}"}, gemini_version)
        try:
            answer = driver.ask(clients, history, streaming)
        except Exception as error:
            seen = {"raised": type(error).__name__, "message": str(error)[:500]}
            seen["status"] = getattr(error, "status_code", None) or getattr(error, "code", None)
            report[name] = seen | {"ok": name == "limit" and driver.limited(error)}
            return None
        seen = answer.json()
        if name == "tool":
            # Responses pairs by call_id, Gemini and Ollama by name and order: only those may come without an id.
            named = all(call["name"] == NAME and isinstance(call["arguments"], dict) for call in answer.calls)
            paired = vendor in ("gemini", "ollama") or all(call["id"] for call in answer.calls)
            seen["ok"] = bool(answer.calls) and named and paired
        else:
            seen["ok"] = name != "limit" and bool(answer.text) and not answer.calls and bool(answer.stop)
        report[name] = seen
        return answer

    step("text", [driver.user("drive: text")])
    history = [driver.user("drive: tool")]
    called = step("tool", history)
    if called is not None and called.calls:
        step("after", [*history, *called.keep, *driver.results(called)])
    else:
        report["after"] = {"ok": False, "skipped": "no call came"}
    step("limit", [driver.user("drive: limit")])
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", help="such as http://127.0.0.1:8080; the SDKs add their own paths")
    parser.add_argument("--vendor", action="append", choices=VENDORS, help="only this one; may be repeated")
    parser.add_argument("--mode", action="append", choices=MODES, help="only this one")
    parser.add_argument("--gemini-version", help="such as v1beta; by default what the SDK takes, which is v1")
    parser.add_argument("--self-test", action="store_true", help="drive a replay of our own streams")
    options = parser.parse_args()
    if options.self_test == (options.base is not None):
        parser.error("either an address or --self-test")
    forget_environment()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)

    def run(base: str) -> dict[str, Any]:
        return {vendor: {mode: drive(base, vendor, mode, options.gemini_version) for mode in options.mode or MODES}
                for vendor in options.vendor or VENDORS}

    if options.self_test:
        from replay import Replay
        replay = Replay()
        with Loopback(replay.answer) as server:
            report = run(server.url)
        wrong = replay.complaints
    else:
        report, wrong = run(options.base), []
    wrong += [f"{vendor}/{mode}/{step}" for vendor, modes in report.items() for mode, steps in modes.items()
              for step, seen in steps.items() if not seen["ok"]]
    print(json.dumps({"ok": not wrong, "wrong": wrong, "report": report}, ensure_ascii=False, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
