"""Owns the OpenAI Responses streams.

Refuses to invent event kinds outside the section that says so.
"""

from typing import Any, Iterator

from openai.types import responses as r
from openai.types.responses import response_output_text as out
from openai.types.responses import response_usage as counts

from . import HAND, HARD_TEXT, Case, by_us, named_sse, pieces, type_last_sse, words
from .openai_stream import Stream, stream_end, usage, vendor_tools


# --- Made by the SDK's own types ------------------------------------------------------------------


def made() -> Iterator[Case]:
    hello = ["Hello", ", ", "world", "!"]
    yield Case("text", Stream().text(hello).completed(), shows="the plainest answer")
    yield Case("text-queued", Stream(("created", "queued", "in_progress")).text(hello).completed(),
               shows="a request that waited in a queue")
    yield Case("empty", Stream().completed(), shows="an answer without an item")
    yield Case("text-parts", Stream().texts([["one"], ["two", "!"]]).completed(), shows="two parts in one message")
    yield Case("text-messages", Stream().text(["first"], phase="commentary")
               .text(["second"], id="msg_02", phase="final_answer").completed(), shows="two messages in one answer")
    yield Case("text-unicode", Stream().text(HARD_TEXT).completed(),
               shows="characters of two to four bytes, CRLF inside JSON, separators, words that look like framing")
    yield Case("text-no-delta", Stream().text([]).completed(), shows="a message without words")
    notes = [
        out.AnnotationURLCitation(type="url_citation", url="https://example.com/", title="E", start_index=0, end_index=5),
        out.AnnotationFileCitation(type="file_citation", file_id="file_1", filename="a.pdf", index=3),
        out.AnnotationContainerFileCitation(type="container_file_citation", container_id="cntr_1", file_id="cfile_1",
                                            filename="b.csv", start_index=0, end_index=2),
        out.AnnotationFilePath(type="file_path", file_id="file_2", index=1),
    ]
    yield Case("annotations", Stream().text(hello, annotations=notes).completed(), shows="every kind of annotation")
    yield Case("refusal", Stream().refusal(["I'm sorry", ", but", " no."]).completed(), shows="a refusal as content")
    yield Case("reasoning", Stream().reasoning([["**Plan**", "\n\nLook."], ["**Act**"]], "gAAAAABo+/sealed==")
               .text(hello).completed(usage=usage(output=90, reasoning=64)),
               shows="two summary parts and an encrypted reasoning item")
    yield Case("reasoning-no-summary", Stream().reasoning([], "gAAAAABo+/whole==", half_sealed="gAAAAABhalf")
               .text(hello).completed(), shows="no readable words, and a seal that is only whole when the item is done")
    yield Case("reasoning-unsealed", Stream().reasoning([["Thinking"]], None).text(hello).completed(),
               shows="a stored reasoning item without encrypted content")
    yield Case("reasoning-open", Stream().open_reasoning(["First ", "this"]).text(hello).completed(),
               shows="reasoning in full words")
    yield Case("reasoning-tool", Stream().reasoning([["I need a file"]], "gAAAAABo-tool")
               .call(1, "Read", ['{"path"', ':"a.txt"}']).completed(), shows="a reasoning item before its call")
    yield Case("reasoning-between", Stream().reasoning([["a"]], "seal-1").call(1, "Read", ['{"path":"a"}'])
               .reasoning([["b"]], "seal-2", id="rs_02").call(2, "Read", ['{"path":"b"}']).completed(),
               shows="two reasoning items, each before its own call")

    yield Case("tool", Stream().call(1, "get_weather", ['{"loc', 'ation":', '"Paris"}']).completed(),
               shows="arguments in fragments")
    yield Case("tool-empty", Stream().call(1, "now", ["{}"]).completed(), shows="a call without arguments")
    yield Case("tool-no-fragment", Stream().call(1, "now", []).completed(), shows="arguments that are an empty string")
    yield Case("tool-parallel", Stream().text(["Ok."]).call(1, "Read", ['{"path":"a"}'])
               .call(2, "Read", ['{"path":', '"b"}']).call(3, "Read", ['{"path":"a"}']).completed(),
               shows="text and three calls, two of them the same")
    mixed = Stream()
    one, two = mixed.call_open(1, "Read"), mixed.call_open(2, "Grep")
    mixed.call_piece(one, 1, '{"path":')
    mixed.call_piece(two, 2, '{"pattern":')
    mixed.call_piece(one, 1, '"a"}')
    mixed.call_piece(two, 2, '"x"}')
    mixed.call_close(two, 2, "Grep", '{"pattern":"x"}')
    mixed.call_close(one, 1, "Read", '{"path":"a"}')
    yield Case("tool-interleaved", mixed.completed(), shows="two calls whose pieces take turns; the second ends first")
    truth = Stream()
    at = truth.call_open(1, "Read")
    truth.call_piece(at, 1, '{"path":"WRONG')
    truth.call_close(at, 1, "Read", '{"path":"right"}')
    yield Case("tool-done-is-truth", truth.completed(), shows="the finished arguments differ from the pieces and win")
    yield Case("tool-unicode", Stream().call(1, "Write", ['{"t":"文', '🦀\\ud83e', '\\udd80\\r\\n"}']).completed(),
               shows="fragments cut inside an escaped surrogate pair")
    yield Case("tool-custom", Stream().custom(1, "apply_patch", ["*** Begin", " Patch\n", "+x \"y\"\n"]).completed(),
               shows="a custom tool, whose input is text and no JSON")

    search = dict(id="ws_1", type="web_search_call")
    action = r.response_function_web_search.ActionSearch(type="search", query="weather")
    yield Case("web-search", Stream().whole_item(
        r.ResponseFunctionWebSearch(**search, status="in_progress", action=action),
        r.ResponseFunctionWebSearch(**search, status="completed", action=action),
        (r.ResponseWebSearchCallInProgressEvent, "response.web_search_call.in_progress", {"item_id": "ws_1"}),
        (r.ResponseWebSearchCallSearchingEvent, "response.web_search_call.searching", {"item_id": "ws_1"}),
        (r.ResponseWebSearchCallCompletedEvent, "response.web_search_call.completed", {"item_id": "ws_1"}),
    ).text(hello, annotations=notes[:1]).completed(), shows="a search by the vendor")
    yield Case("vendor-tools", vendor_tools().text(hello).completed(), shows="every other item of the vendor's own tools")
    yield Case("audio", audio().completed(), shows="events of spoken answers are skipped")

    yield Case("usage-cached", Stream().text(hello).completed(usage=usage(2006, 300, cached=1920, written=40, reasoning=64)),
               shows="input includes what was read from and written to the cache")
    split = usage(2006, 300, cached=1000, written=600)
    split.input_tokens_details.cache_write_tokens_details = counts.InputTokensDetailsCacheWriteTokensDetails(
        ttl_30m_tokens=500, ttl_12h_tokens=100)
    yield Case("usage-cached-lifetimes", Stream().text(hello).completed(usage=split),
               shows="written tokens split by lifetime; both are the vendor's own lifetimes, so both are cache_write")
    yield Case("usage-null", Stream().text(hello).completed(usage=None), shows="a finished answer without usage")
    yield Case("service-tier", Stream().text(hello).completed(service_tier="flex"), shows="another tier answers")
    yield Case("incomplete-max-output-tokens", Stream().text(["half a"]).incomplete("max_output_tokens"))
    yield Case("incomplete-content-filter", Stream().text(["so"]).incomplete("content_filter"))
    yield Case("incomplete-max-messages", Stream().text(["so"]).incomplete("max_messages"))
    yield Case("incomplete-steered", Stream().text(["so"]).incomplete("steered"))
    half = Stream()
    at = half.call_open(1, "Write")
    half.call_piece(at, 1, '{"path":"a.txt","content":"ha')
    half.closed(at, r.ResponseFunctionToolCall(id="fc_1", type="function_call", status="incomplete", call_id="call_1",
                                               name="Write", arguments='{"path":"a.txt","content":"ha'))
    yield Case("incomplete-in-tool", half.incomplete("max_output_tokens"), shows="the limit cut a call in half")
    whole_call = Stream().call(1, "Read", ['{"path":"a"}'])
    yield Case("incomplete-after-tool", whole_call.incomplete("max_output_tokens"),
               shows="the limit came after a whole call")
    for code, message in [
        ("rate_limit_exceeded", "Rate limit reached for gpt-5.1"),
        ("server_error", "The server had an error while processing your request"),
        ("invalid_prompt", "The prompt was refused"),
        ("bio_policy", "The request was blocked"),
        ("vector_store_timeout", "The vector store did not answer"),
    ]:
        yield Case(f"failed-{code.replace('_', '-')}", Stream().text(["Part"]).failed(code, message),
                   shows="a failure inside HTTP 200")
    yield Case("failed-first", Stream(("created",)).failed("server_error", "Sorry"), shows="failed before any item")
    bare = Stream().text(["Part"])
    bare.add(r.ResponseErrorEvent, "error", code="server_error", message="Something broke", param=None)
    yield Case("error-event", bare.bytes(), shows="a bare error event is terminal too")
    bare = Stream(())
    bare.add(r.ResponseErrorEvent, "error", code="rate_limit_exceeded", message="Slow down", param=None)
    yield Case("error-event-first", bare.bytes(), shows="a bare error as the only event",
               quirk="the SDK's accumulator demands `response.created` first and fails on its own error event",
               expect=by_us(error="rate_limited", error_raw="rate_limit_exceeded"))
    yield Case("type-last", type_last_sse(Stream().text(hello).call(1, "Read", ['{"path":', '"a"}']).ended()),
               shows="the field that tells the kind comes after the others")
    yield Case("large-40k", large(), shows="40 KiB of text and two calls")


def large() -> bytes:
    """At least 40 KiB with text and two tool calls, whose arguments are long too."""
    body = words(250, seed=7).replace("\n", "\\n")
    stream = Stream().text(pieces(words(480), 37))
    stream.call(1, "Write", ['{"path": "notes/large.txt", ', '"content": "', *pieces(body, 60), '"}'])
    return stream.call(2, "Grep", ['{"pattern"', ': "fn ', 'main", "limit": ', "20}"]).completed()


def audio() -> Stream:
    stream = Stream()
    stream.add(r.ResponseAudioDeltaEvent, "response.audio.delta", delta="UklGRg==")
    stream.add(r.ResponseAudioDoneEvent, "response.audio.done")
    stream.add(r.ResponseAudioTranscriptDeltaEvent, "response.audio.transcript.delta", delta="Hi")
    stream.add(r.ResponseAudioTranscriptDoneEvent, "response.audio.transcript.done")
    return stream.text(["Hello"])


# --- By hand: what the SDK's types refuse, cuts, and what only wire bytes can say ------------------


def by_hand() -> Iterator[Case]:
    hello = ["Hello", ", ", "world", "!"]
    nested = {"type": "error", "error": {
        "type": "tokens", "code": "rate_limit_exceeded", "message": "Request too large", "param": None}}
    yield Case("error-event-nested", Stream().text(["Part"]).raw(nested).bytes(), HAND,
               "the server really sends the error in an object of its own")
    yield Case("error-event-in-tool", tool_then({"type": "error", "code": "server_error", "message": "x", "param": None}),
               HAND, "a bare error inside the arguments of a call")
    yield Case("unknown-event", Stream().raw({"type": "response.mood.changed", "mood": "fine"}).text(hello)
               .raw({"type": "keepalive"}).completed(), HAND, "event kinds that do not exist yet are skipped")
    unknown = {"id": "holo_1", "type": "hologram_call", "status": "completed", "frames": [1, 2]}
    stream = Stream()
    stream.raw({"type": "response.output_item.added", "output_index": 0, "item": unknown | {"status": "in_progress"}})
    stream.raw({"type": "response.output_item.done", "output_index": 0, "item": unknown})
    stream.output.append(r.ResponseReasoningItem(id="placeholder", type="reasoning", summary=[]))
    stream.text(hello)
    stream.output.pop(0)
    final = stream_end(stream)
    final["response"]["output"].insert(0, unknown)
    yield Case("unknown-item", named_sse([*stream.events, final]), HAND, "an item kind that does not exist yet")
    stream = Stream().text(hello)
    final = stream_end(stream)
    final["response"] |= {"status": "incomplete", "incomplete_details": {"reason": "lunch_break"}}
    final["type"] = "response.incomplete"
    yield Case("incomplete-unknown", named_sse([*stream.events, final]), HAND, "a reason that does not exist yet")
    for name, code in [("failed-unknown", "gremlins"), ("failed-insufficient-quota", "insufficient_quota"),
                       ("failed-context-length", "context_length_exceeded")]:
        stream = Stream().text(["Part"])
        final = stream_end(stream)
        final["response"] |= {"status": "failed", "error": {"code": code, "message": "No"}, "usage": None}
        final["type"] = "response.failed"
        yield Case(name, named_sse([*stream.events, final]), HAND, "a failure code that the SDK's types do not list")
    obfuscated = named_sse(Stream().text(hello).events)
    obfuscated = obfuscated.replace(b'"logprobs":[]}', b'"logprobs":[],"obfuscation":"xK93jd"}')
    stream = Stream().text(hello)
    yield Case("obfuscation", obfuscated + named_sse([stream_end(stream)]), HAND, "deltas padded with noise")
    for name, raw in [("tool-invalid-json", '{"path": }'), ("tool-trailing-text", '{"path":"a"} and so on'),
                      ("tool-array", "[1,2]")]:
        yield Case(name, Stream().call(1, "Write", pieces(raw, 4)).completed(), HAND,
                   "arguments that are not the text of a JSON object")
    named = Stream().call(1, "Read", ['{"path":"a"}']).completed()
    named = named.replace(b'"response.function_call_arguments.done",', b'"response.function_call_arguments.done","name":"Read",')
    yield Case("tool-done-name", named, HAND, "the servers add the tool's name to the finished arguments")

    full = Stream().text(["Some words."]).call(1, "Read", ['{"path":', '"a.txt"}']).completed()
    yield Case("cut-before-completed", full[: full.index(b"event: response.completed")], HAND,
               "everything came but the terminal event: this is a cut, however whole it looks")
    yield Case("cut-before-arguments-done", full[: full.index(b"event: response.function_call_arguments.done")], HAND,
               "cut after all pieces of the arguments, before the word that they are all")
    yield Case("cut-in-tool", full[: full.rindex(b"event: response.function_call_arguments.delta")], HAND,
               "cut between two pieces of the arguments of a call")
    yield Case("cut-in-frame", full[:-40], HAND, "cut inside the terminal event")
    yield Case("cut-after-created", named_sse(Stream(("created",)).events), HAND, "cut after the first event")
    yield Case("cut-nothing", b"", HAND, "HTTP 200 and not one byte")
    done = Stream().text(hello).completed()
    yield Case("done-marker", done + b"data: [DONE]\n\n", HAND, "compatibles end with the marker of the older API")
    yield Case("framing-no-names", b"\n".join(l for l in done.split(b"\n") if not l.startswith(b"event:")), HAND,
               "events without names: the type inside is enough")
    yield Case("framing-crlf", done.replace(b"\n", b"\r\n"), HAND, "lines end with CR LF")
    yield Case("framing-comments", b": keep-alive\n\n" + done.replace(b"event: response.out", b": ping\n\nevent: response.out"),
               HAND, "comments between events")


def tool_then(last: dict[str, Any]) -> bytes:
    stream = Stream()
    stream.call_piece(stream.call_open(1, "Write"), 1, '{"path":')
    return stream.raw(last).bytes()


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
