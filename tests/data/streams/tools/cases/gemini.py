"""Owns the Gemini streamGenerateContent streams.

Refuses to invent fields outside the section that says so.
"""

import base64
from typing import Any, Iterator

from google.genai import types as g

from . import HAND, HARD_TEXT, Case, by_us, dump, pieces, plain_sse, words

SEAL = b"\xfb\xff\xfe sealed >>??"  # in base64 this needs both of the letters in which the two alphabets differ
SEAL_2 = b"\x12\xab another \xff\xef\xbe"


def standard(value: Any) -> Any:
    """The servers write bytes in the standard base64 alphabet; the SDK's types write the other one."""
    if isinstance(value, dict):
        return {key: base64.b64encode(base64.urlsafe_b64decode(inner)).decode() if key == "thoughtSignature"
                else standard(inner) for key, inner in value.items()}
    return [standard(inner) for inner in value] if isinstance(value, list) else value


def stream(*events: Any) -> bytes:
    """Google ends lines with CR LF."""
    return plain_sse([event if isinstance(event, bytes) else standard(dump(event)) for event in events], "\r\n")


def usage(prompt: int = 8, candidates: int | None = None, **more: int) -> g.GenerateContentResponseUsageMetadata:
    fields = {"prompt_token_count": prompt, **more}
    if candidates is not None:
        fields["candidates_token_count"] = candidates
    total = prompt + (candidates or 0) + more.get("thoughts_token_count", 0) + more.get("tool_use_prompt_token_count", 0)
    return g.GenerateContentResponseUsageMetadata(total_token_count=total, **fields)


def chunk(parts: list[g.Part] | None, finish: str | None = None, counts: Any = None, message: str | None = None,
          **more: Any) -> g.GenerateContentResponse:
    candidate: dict[str, Any] = {"index": 0}
    if parts is not None:
        candidate["content"] = g.Content(role="model", parts=parts)
    if finish is not None:
        candidate["finish_reason"] = g.FinishReason(finish)
    if message is not None:
        candidate["finish_message"] = message
    return g.GenerateContentResponse(
        candidates=[g.Candidate(**candidate)], usage_metadata=counts or usage(), model_version="gemini-2.5-flash",
        response_id="resp-01", **more)


def say(text: str, **more: Any) -> g.Part:
    return g.Part(text=text, **more)


def think(text: str) -> g.Part:
    return g.Part(text=text, thought=True)


def call(name: str, args: dict[str, Any] | None, id: str | None = None, seal: bytes | None = None) -> g.Part:
    fields: dict[str, Any] = {"name": name}
    if args is not None:
        fields["args"] = args
    if id is not None:
        fields["id"] = id
    sealed = {} if seal is None else {"thought_signature": seal}
    return g.Part(function_call=g.FunctionCall(**fields), **sealed)


def ending(parts: list[g.Part] | None = None, finish: str = "STOP", **more: Any) -> g.GenerateContentResponse:
    return chunk(parts, finish, more.pop("counts", usage(8, 12)), **more)


# --- Made by the SDK's own types ------------------------------------------------------------------


def made() -> Iterator[Case]:
    yield Case("text", stream(chunk([say("Hello")]), chunk([say(", ")]), ending([say("world!")])),
               shows="the plainest answer: no event names, no end mark")
    yield Case("text-one-chunk", stream(ending([say("Hello")])), shows="everything in one chunk")
    yield Case("text-empty-end", stream(chunk([say("Hello")]), ending([say("")])), shows="the last part is empty")
    yield Case("text-no-content-end", stream(chunk([say("Hello")]), ending()), shows="the last candidate has no content")
    yield Case("text-many-parts", stream(chunk([say("a"), say("b")]), ending([say("c"), say("d")])),
               shows="several text parts in one chunk are one text")
    yield Case("text-unicode", stream(*[chunk([say(text)]) for text in HARD_TEXT], ending()),
               shows="characters of two to four bytes, CRLF inside JSON, separators, words that look like framing")
    yield Case("empty", stream(ending([])), shows="an answer without a part")
    yield Case("thoughts", stream(
        chunk([think("**Plan**\n")]), chunk([think("Look.")]), chunk([say("Done")]),
        ending([say(".", thought_signature=SEAL)], counts=usage(8, 12, thoughts_token_count=31))),
        shows="thoughts, then text whose last part is signed: signed and unsigned parts are not merged")
    yield Case("thoughts-signed-empty", stream(
        chunk([think("hm")]), chunk([say("Answer.")]), ending([say("", thought_signature=SEAL)])),
        shows="the signature comes on an empty trailing text part")
    yield Case("thoughts-signed", stream(
        chunk([g.Part(text="hm", thought=True, thought_signature=SEAL)]), ending([say("Answer.")])),
        shows="the signature is on the thought itself")
    yield Case("text-signed-between", stream(
        chunk([say("one ")]), chunk([say("two ", thought_signature=SEAL)]), chunk([say("three")]), ending()),
        shows="a signed part between unsigned ones stays alone")
    yield Case("tool", stream(chunk([say("Ok. ")]), chunk([call("get_weather", {"location": "Paris", "days": 2})]), ending()),
               shows="a whole call in one part, and STOP although a tool is called")
    yield Case("tool-id", stream(ending([call("Read", {"path": "a"}, id="fc-1")])), shows="a call with an id")
    yield Case("tool-no-args", stream(ending([call("now", None)])), shows="a call without arguments")
    yield Case("tool-empty-args", stream(ending([call("now", {})])), shows="a call with empty arguments")
    yield Case("tool-parallel", stream(ending([
        call("Read", {"path": "a"}, seal=SEAL), call("Read", {"path": "b"}), call("Read", {"path": "a"})])),
        shows="three calls in one candidate; only the first is signed, and two are the same")
    yield Case("tool-parallel-chunks", stream(
        chunk([call("Read", {"path": "a"}, seal=SEAL)]), chunk([call("Grep", {"pattern": "x"})]), ending()),
        shows="two calls in two chunks")
    yield Case("tool-two-seals", stream(
        chunk([think("hm")]), chunk([call("Read", {"path": "a"}, "fc-1", SEAL)]),
        chunk([call("Read", {"path": "b"}, "fc-2", SEAL_2)]), ending(counts=usage(8, 12, thoughts_token_count=9))),
        shows="two calls, each with its own signature")
    yield Case("tool-text-around", stream(
        chunk([say("before")]), chunk([call("now", {}), say("between"), call("now", {})]), ending([say("after")])),
        shows="text between two calls keeps its place")
    deep = {"a": {"b": [1, 2.5, -300.0, True, False, None, {"c": "}]\"{["}], "": ""}, "snake_case": 1, "camelCase": 2,
            "文": "🦀\r\n\u0000"}
    yield Case("tool-nested", stream(ending([call("deep", deep)])), shows="nested arguments whose keys keep their case")
    yield Case("server-code", stream(
        chunk([g.Part(executable_code=g.ExecutableCode(language="PYTHON", code="print(2+2)"))]),
        chunk([g.Part(code_execution_result=g.CodeExecutionResult(outcome="OUTCOME_OK", output="4\n"))]),
        ending([say("Four.")])), shows="code that the vendor ran")
    picture = g.Part(inline_data=g.Blob(mime_type="image/png", data=b"\x89PNG"))
    yield Case("inline-data", stream(chunk([picture]), ending([say("A picture.")])), shows="a picture in the answer")
    grounded = ending([say("Sunny.")])
    grounded.candidates[0].grounding_metadata = g.GroundingMetadata(web_search_queries=["weather"])
    grounded.candidates[0].citation_metadata = g.CitationMetadata(citations=[g.Citation(
        start_index=0, end_index=5, uri="https://example.com")])
    grounded.candidates[0].safety_ratings = [g.SafetyRating(
        category="HARM_CATEGORY_HARASSMENT", probability="NEGLIGIBLE")]
    yield Case("grounding", stream(grounded), shows="sources, citations and ratings beside the words")
    for reason in g.FinishReason:
        if reason.name not in ("STOP", "FINISH_REASON_UNSPECIFIED"):
            yield Case(f"finish-{reason.value.lower().replace('_', '-')}", stream(
                chunk([say("so far")]), ending(finish=reason.value)))
    yield Case("finish-malformed-empty", stream(chunk(
        None, "MALFORMED_FUNCTION_CALL", usage(8), "Malformed function call: print(default_api.now(")),
        shows="a call the vendor could not read, without any content, with its words")
    yield Case("finish-max-tokens-thinking", stream(
        chunk([think("still")]), chunk(None, "MAX_TOKENS", usage(8, thoughts_token_count=64))),
        shows="the limit came while thinking")
    yield Case("finish-max-tokens-tool", stream(ending([call("now", {})], "MAX_TOKENS")),
               shows="a whole call, then the limit")
    for reason in g.BlockedReason:
        if reason.name != "BLOCKED_REASON_UNSPECIFIED":
            feedback = g.GenerateContentResponsePromptFeedback(block_reason=reason, safety_ratings=[])
            yield Case(f"blocked-{reason.value.lower().replace('_', '-')}", stream(g.GenerateContentResponse(
                prompt_feedback=feedback, usage_metadata=usage(8), model_version="gemini-2.5-flash")),
                shows="a blocked prompt has no candidate")
    told = g.GenerateContentResponsePromptFeedback(
        block_reason="PROHIBITED_CONTENT", block_reason_message="The prompt was blocked.")
    yield Case("blocked-message", stream(g.GenerateContentResponse(prompt_feedback=told, usage_metadata=usage(8))),
               shows="a blocked prompt with words about it")
    yield Case("usage-running-total", stream(
        chunk([think("hm")], counts=usage(2000, None, cached_content_token_count=1500, thoughts_token_count=20)),
        chunk([say("Hi")], counts=usage(2000, 3, cached_content_token_count=1500, thoughts_token_count=31)),
        ending([say("!")], counts=usage(2000, 5, cached_content_token_count=1500, thoughts_token_count=31))),
        shows="every chunk carries the total so far; prompt includes cached, candidates exclude thoughts")
    yield Case("usage-tool-prompt", stream(ending([say("Hi")], counts=usage(10, 5, tool_use_prompt_token_count=40))),
               shows="tokens that the vendor's own tools read are input as well")
    last = g.GenerateContentResponse(usage_metadata=usage(8, 12), model_version="gemini-2.5-flash")
    yield Case("usage-alone", stream(chunk([say("Hi")]), chunk([], "STOP"), last), shows="usage in a last chunk without candidate")
    bare = g.GenerateContentResponse(candidates=[g.Candidate(
        index=0, finish_reason="STOP", content=g.Content(role="model", parts=[say("Hi")]))])
    yield Case("usage-missing", stream(bare), shows="no usage at all")
    body = words(1400, seed=7)
    yield Case("large-40k", stream(
        *[chunk([say(text)]) for text in pieces(words(1200), 48)],
        chunk([call("Write", {"path": "notes/large.txt", "content": body}, "fc-1", SEAL)]),
        ending([call("Grep", {"pattern": "fn main", "limit": 20}, "fc-2")])), shows="40 KiB of text and two calls")


# --- By hand: what the SDK's types refuse, cuts, and what only wire bytes can say ------------------


def by_hand() -> Iterator[Case]:
    for name, code, status in [
        ("error-overloaded", 503, "UNAVAILABLE"), ("error-rate-limit", 429, "RESOURCE_EXHAUSTED"),
        ("error-internal", 500, "INTERNAL"), ("error-invalid", 400, "INVALID_ARGUMENT"),
        ("error-deadline", 504, "DEADLINE_EXCEEDED"),
    ]:
        error = {"error": {"code": code, "message": "The model is overloaded.", "status": status}}
        yield Case(name, stream(chunk([say("Part")]), error), HAND, "an error after HTTP 200")
    yield Case("error-first", stream({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}), HAND,
               "an error as the only chunk")
    odd = dump(ending([say("Hi")]))
    odd["candidates"][0]["finishReason"] = "GALAXY_BRAIN"
    yield Case("finish-unknown", stream(odd), HAND, "a finish reason that does not exist yet")
    odd = {"promptFeedback": {"blockReason": "MOOD"}, "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8}}
    yield Case("blocked-unknown", stream(odd), HAND, "a block reason that does not exist yet")
    odd = dump(ending([say("Hi")]))
    odd["candidates"][0]["content"]["parts"].insert(0, {"hologram": {"frames": [1, 2]}})
    odd |= {"carbon": 0.5}
    yield Case("unknown-part", stream(odd), HAND, "a part and a field that do not exist yet",
               "the SDK empties the part it does not know; it must go back as it came",
               by_us(["Hi"], stop="STOP", tokens=(8, 12), opaque=["hologram"], order=["opaque", "text"]))
    odd = dump(ending([say("Hi")]))
    del odd["candidates"][0]["content"]["role"], odd["candidates"][0]["index"]
    yield Case("fields-missing", stream(odd), HAND, "neither role nor index")
    two = dump(ending([say("first")]))
    two["candidates"].append({"index": 1, "content": {"role": "model", "parts": [{"text": "second"}]}, "finishReason": "STOP"})
    yield Case("two-candidates", stream(two), HAND, "a second candidate that nobody asked for: the first counts")
    snake = dump(ending([say("Hi", thought_signature=SEAL)]))
    yield Case("seal-url-alphabet", plain_sse([snake], "\r\n"), HAND,
               "a signature in the other base64 alphabet: it must go back in the bytes it came in",
               "the SDK decodes both alphabets and writes its own; a client that keeps the text keeps it unchanged",
               by_us(["Hi"], stop="STOP", tokens=(8, 12),
                     seals=[{"of": "text", "value": base64.urlsafe_b64encode(SEAL).decode()}]))
    full = stream(chunk([say("Some words.")]), chunk([call("Read", {"path": "a.txt"})]), ending())
    yield Case("cut-before-finish", full[: full.rindex(b"data: ")], HAND, "cut after a whole call, before the finish reason")
    yield Case("cut-in-call", full[: full.index(b"a.txt")], HAND, "cut inside a call")
    yield Case("cut-nothing", b"", HAND, "HTTP 200 and not one byte")
    done = stream(chunk([say("Hello")]), ending([say("!")]))
    yield Case("framing-lf", done.replace(b"\r\n", b"\n"), HAND, "lines end with LF")
    yield Case("framing-last-blank-missing", done[:-2], HAND, "the body ends without the last blank line",
               "the SDK takes the end of the body for the end of the event; the standard of this format, and the "
               "other vendors' SDKs, drop an event without its blank line, and what is dropped was cut",
               by_us(["Hello"], tokens=(8, 0), error="disconnected"))


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
