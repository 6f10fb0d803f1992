"""Owns the Anthropic Messages streams.

Refuses to invent event kinds outside the section that says so.
"""

from typing import Any, Iterator

from anthropic import types as t
from anthropic.types import beta as b

from . import HAND, HARD_TEXT, Case, by_us, named_sse, pieces, type_last_sse, words

MODEL = "claude-sonnet-4-5"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'  # the servers write these with spaces


def start(model: str = MODEL, **usage: Any) -> t.RawMessageStartEvent:
    counts = {"input_tokens": 25, "output_tokens": 1} | usage
    return t.RawMessageStartEvent(
        type="message_start",
        message=t.Message(
            id="msg_01", type="message", role="assistant", model=model, content=[],
            stop_reason=None, stop_sequence=None, usage=t.Usage(**counts),
        ),
    )


def block(index: int, content: Any) -> t.RawContentBlockStartEvent:
    return t.RawContentBlockStartEvent(type="content_block_start", index=index, content_block=content)


def delta(index: int, piece: Any) -> t.RawContentBlockDeltaEvent:
    return t.RawContentBlockDeltaEvent(type="content_block_delta", index=index, delta=piece)


def close(index: int) -> t.RawContentBlockStopEvent:
    return t.RawContentBlockStopEvent(type="content_block_stop", index=index)


def finish(reason: str, output: int = 15, stop_sequence: str | None = None, details: Any = None,
           **usage: Any) -> list[Any]:
    change = {"stop_reason": reason, "stop_sequence": stop_sequence}
    if details is not None:
        change["stop_details"] = details
    return [
        t.RawMessageDeltaEvent(
            type="message_delta",
            delta=t.raw_message_delta_event.Delta(**change),
            usage=t.MessageDeltaUsage(output_tokens=output, **usage),
        ),
        t.RawMessageStopEvent(type="message_stop"),
    ]


def text(index: int, fragments: list[str]) -> list[Any]:
    deltas = [delta(index, t.TextDelta(type="text_delta", text=piece)) for piece in fragments]
    return [block(index, t.TextBlock(type="text", text="")), *deltas, close(index)]


def thinking(index: int, fragments: list[str], signatures: list[str]) -> list[Any]:
    return [
        block(index, t.ThinkingBlock(type="thinking", thinking="", signature="")),
        *[delta(index, t.ThinkingDelta(type="thinking_delta", thinking=piece)) for piece in fragments],
        *[delta(index, t.SignatureDelta(type="signature_delta", signature=value)) for value in signatures],
        close(index),
    ]


def fragments(index: int, texts: list[str]) -> list[Any]:
    return [delta(index, t.InputJSONDelta(type="input_json_delta", partial_json=piece)) for piece in texts]


def tool(index: int, id: str, name: str, texts: list[str]) -> list[Any]:
    opening = block(index, t.ToolUseBlock(type="tool_use", id=id, name=name, input={}))
    return [opening, *fragments(index, texts), close(index)]


def server_tool(index: int, id: str, name: str, texts: list[str]) -> list[Any]:
    opening = block(index, t.ServerToolUseBlock(type="server_tool_use", id=id, name=name, input={}))
    return [opening, *fragments(index, texts), close(index)]


def result(index: int, content: Any) -> list[Any]:
    return [block(index, content), close(index)]


def large() -> bytes:
    """At least 40 KiB with text and two tool calls, whose arguments are long too."""
    prose = words(1350)
    body = words(700, seed=7).replace("\n", "\\n")
    first = ["", '{"path": "notes/large.txt", ', '"content": "', *pieces(body, 60), '"}']
    second = ['{"pattern"', ': "fn ', 'main", "limit": ', "20}"]
    return named_sse([
        start(), PING, *text(0, pieces(prose, 37)),
        *tool(1, "toolu_large_1", "Write", first), PING,
        *tool(2, "toolu_large_2", "Grep", second), *finish("tool_use", output=2400),
    ])


# --- Made by the SDK's own types ------------------------------------------------------------------


def made() -> Iterator[Case]:
    hello = text(0, ["Hello", ", ", "world", "!"])
    yield Case("text", named_sse([start(), PING, *hello, *finish("end_turn")]), shows="the plainest answer")
    yield Case("empty", named_sse([start(), *finish("end_turn", output=2)]), shows="an answer without a block")
    yield Case("text-empty-block", named_sse([start(), *text(0, []), *text(1, ["", "x", ""]), *finish("end_turn")]),
               shows="a text block without a delta, and empty deltas")
    yield Case("text-blocks", named_sse([start(), *text(0, ["one"]), *text(1, ["two"]), *finish("end_turn")]),
               shows="two text blocks stay two parts")
    yield Case("text-unicode", named_sse([start(), *text(0, HARD_TEXT), *finish("end_turn")]),
               shows="characters of two to four bytes, CRLF inside JSON, separators, words that look like framing")
    every = [PING]
    for event in [start(), *hello, *finish("end_turn")]:
        every += [event, PING]
    yield Case("ping-anywhere", named_sse(every), shows="a ping between all events, the first and the last too")

    thought = thinking(0, ["Let me", " see", "…\n"], ["EqQBCgIYAhIM+/fake=="])
    yield Case("thinking", named_sse([start(), *thought, *text(1, ["Done."]), *finish(
        "end_turn", output=40, output_tokens_details=t.OutputTokensDetails(thinking_tokens=31))]),
        shows="thinking with a signature, and its share of the output")
    yield Case("thinking-signature-replaced", named_sse([
        start(), *thinking(0, ["hm"], ["first-half", "WHOLE+signature/=="]), *text(1, ["ok"]), *finish("end_turn")]),
        shows="a later signature replaces an earlier one")
    yield Case("thinking-hidden", named_sse([
        start(), *thinking(0, [], ["sealed-without-words=="]), *text(1, ["ok"]), *finish("end_turn")]),
        shows="a signature without readable thinking")
    redacted = result(0, t.RedactedThinkingBlock(type="redacted_thinking", data="EmwKAhgBEgy3va3pzix/LafPsn4a=="))
    yield Case("redacted-thinking", named_sse([
        start(), *redacted, *thinking(1, ["then"], ["sig=="]), *text(2, ["ok"]), *finish("end_turn")]),
        shows="a redacted block before a readable one")
    yield Case("thinking-tool", named_sse([
        start(), *thinking(0, ["I need", " a file"], ["sig-tool=="]), *text(1, ["Reading."]),
        *tool(2, "toolu_01", "Read", ['{"path":', '"a.txt"}']), *finish("tool_use")]),
        shows="thinking, text and a call in one answer")

    yield Case("tool", named_sse([
        start(), *text(0, ["Okay."]), *tool(1, "toolu_01", "get_weather", [
            "", '{"location":', ' "San', " Francisc", 'o, CA"', ', "unit": "fah', 'renheit"}']),
        *finish("tool_use", output=89)]), shows="arguments in fragments, the first one empty")
    yield Case("tool-no-fragment", named_sse([start(), *tool(0, "toolu_01", "now", []), *finish("tool_use")]),
               shows="no fragment at all means an empty object")
    yield Case("tool-empty-fragment", named_sse([start(), *tool(0, "toolu_01", "now", ["", ""]), *finish("tool_use")]),
               shows="only empty fragments mean an empty object")
    yield Case("tool-unicode", named_sse([
        start(), *tool(0, "toolu_01", "Write", ['{"path":"文', '書/🦀.txt","text":"\\ud83e', '\\udd80\\r\\n\\u0000é"', "}"]),
        *finish("tool_use")]), shows="fragments cut inside an escaped surrogate pair")
    yield Case("tool-parallel", named_sse([
        start(), *tool(0, "toolu_01", "Read", ['{"path":"a"}']), *tool(1, "toolu_02", "Read", ['{"path":', '"b"}']),
        *tool(2, "toolu_03", "now", []), *finish("tool_use")]), shows="three calls in one answer")
    yield Case("tool-identical", named_sse([
        start(), *tool(0, "toolu_01", "Read", ['{"path":"a"}']), *tool(1, "toolu_02", "Read", ['{"path":"a"}']),
        *finish("tool_use")]), shows="two identical calls are both real")
    nested = '{"a":{"b":[1,2.5,-3e2,true,false,null,{"c":"}]\\"{["}],"":""},"z":123456789012345678901234567890}'
    yield Case("tool-nested", named_sse([
        start(), *tool(0, "toolu_01", "deep", pieces(nested, 1)), *finish("tool_use")]),
        shows="one character a fragment, nested values, a number past 64 bits")
    yield Case("tool-after-text-after-tool", named_sse([
        start(), *tool(0, "toolu_01", "now", []), *text(1, ["and"]), *tool(2, "toolu_02", "now", ["{}"]),
        *finish("tool_use")]), shows="text between two calls keeps its place")
    a, c = text(0, ["A1", "A2"]), tool(1, "toolu_01", "Read", ['{"path":', '"x"}'])
    yield Case("interleaved", named_sse([
        start(), a[0], c[0], a[1], c[1], a[2], c[2], a[3], c[3], *finish("tool_use")]),
        shows="deltas of two open blocks take turns and go by index")
    caller = t.ToolUseBlock(type="tool_use", id="toolu_01", name="query", input={},
                            caller=t.ServerToolCaller(type="code_execution_20250825", tool_id="srvtoolu_01"))
    yield Case("tool-caller", named_sse([
        start(), *server_tool(0, "srvtoolu_01", "code_execution", ['{"code":"query()"}']),
        block(1, caller), *fragments(1, ['{"sql":"select 1"}']), close(1), *finish("tool_use")]),
        shows="a call that a server tool makes")

    found = t.WebSearchResultBlock(type="web_search_result", title="Weather", url="https://example.com/w",
                                   encrypted_content="EqgfCioIARgBIiQ3+/==", page_age="3 days ago")
    citation = t.CitationsWebSearchResultLocation(
        type="web_search_result_location", cited_text="sunny", encrypted_index="Eo8BCioI", title="Weather",
        url="https://example.com/w")
    cited = [block(2, t.TextBlock(type="text", text="", citations=[])),
             delta(2, t.CitationsDelta(type="citations_delta", citation=citation)),
             delta(2, t.TextDelta(type="text_delta", text="It is sunny.")), close(2)]
    searched = t.ServerToolUsage(web_search_requests=1, web_fetch_requests=0)
    yield Case("web-search", named_sse([
        start(), *server_tool(0, "srvtoolu_01", "web_search", ["", '{"query":', '"weather"}']),
        *result(1, t.WebSearchToolResultBlock(type="web_search_tool_result", tool_use_id="srvtoolu_01", content=[found])),
        *cited, *finish("end_turn", output=510, input_tokens=10682, server_tool_use=searched)]),
        shows="a search by the vendor, its result and a citation; input tokens grow in the last usage")
    failed = t.WebSearchToolResultError(type="web_search_tool_result_error", error_code="max_uses_exceeded")
    yield Case("web-search-error", named_sse([
        start(), *server_tool(0, "srvtoolu_01", "web_search", ['{"query":"x"}']),
        *result(1, t.WebSearchToolResultBlock(type="web_search_tool_result", tool_use_id="srvtoolu_01", content=failed)),
        *text(2, ["I could not."]), *finish("end_turn")]), shows="a search by the vendor that failed")
    page = t.WebFetchBlock(type="web_fetch_result", url="https://example.com/a", retrieved_at="2025-01-01T00:00:00Z",
                           content=t.DocumentBlock(type="document", title="A", source=t.PlainTextSource(
                               type="text", media_type="text/plain", data="body")))
    ran = t.CodeExecutionResultBlock(type="code_execution_result", stdout="4\n", stderr="", return_code=0, content=[])
    bash = t.BashCodeExecutionResultBlock(type="bash_code_execution_result", stdout="a\n", stderr="", return_code=0,
                                          content=[])
    view = t.TextEditorCodeExecutionViewResultBlock(
        type="text_editor_code_execution_view_result", content="x", file_type="text", num_lines=1, start_line=1,
        total_lines=1)
    tools_found = t.ToolSearchToolSearchResultBlock(type="tool_search_tool_search_result", tool_references=[
        t.ToolReferenceBlock(type="tool_reference", tool_name="get_weather")])
    yield Case("server-tools", named_sse([
        start(),
        *server_tool(0, "srvtoolu_1", "web_fetch", ['{"url":"https://example.com/a"}']),
        *result(1, t.WebFetchToolResultBlock(type="web_fetch_tool_result", tool_use_id="srvtoolu_1", content=page)),
        *server_tool(2, "srvtoolu_2", "code_execution", ['{"code":"2+2"}']),
        *result(3, t.CodeExecutionToolResultBlock(type="code_execution_tool_result", tool_use_id="srvtoolu_2", content=ran)),
        *server_tool(4, "srvtoolu_3", "bash_code_execution", ['{"command":"ls"}']),
        *result(5, t.BashCodeExecutionToolResultBlock(
            type="bash_code_execution_tool_result", tool_use_id="srvtoolu_3", content=bash)),
        *server_tool(6, "srvtoolu_4", "text_editor_code_execution", ['{"command":"view","path":"a"}']),
        *result(7, t.TextEditorCodeExecutionToolResultBlock(
            type="text_editor_code_execution_tool_result", tool_use_id="srvtoolu_4", content=view)),
        *server_tool(8, "srvtoolu_5", "tool_search_tool_regex", ['{"pattern":"weather"}']),
        *result(9, t.ToolSearchToolResultBlock(
            type="tool_search_tool_result", tool_use_id="srvtoolu_5", content=tools_found)),
        *result(10, t.ContainerUploadBlock(type="container_upload", file_id="file_01")),
        *text(11, ["All done."]), *finish("end_turn")]), shows="every block of the vendor's own tools")
    places = [
        t.CitationCharLocation(type="char_location", cited_text="c", document_index=0, document_title="D",
                               start_char_index=0, end_char_index=1),
        t.CitationPageLocation(type="page_location", cited_text="p", document_index=1, document_title=None,
                               start_page_number=1, end_page_number=2),
        t.CitationContentBlockLocation(type="content_block_location", cited_text="b", document_index=2,
                                       document_title="E", start_block_index=0, end_block_index=1),
        t.CitationsSearchResultLocation(type="search_result_location", cited_text="s", search_result_index=0,
                                        source="https://example.com", title="S", start_block_index=0,
                                        end_block_index=1),
        citation,
    ]
    yield Case("citations", named_sse([
        start(), block(0, t.TextBlock(type="text", text="", citations=[])),
        delta(0, t.TextDelta(type="text_delta", text="According to them")),
        *[delta(0, t.CitationsDelta(type="citations_delta", citation=place)) for place in places],
        delta(0, t.TextDelta(type="text_delta", text=", yes.")), close(0), *finish("end_turn")]),
        shows="every kind of citation, between words")

    cache = dict(cache_creation_input_tokens=300, cache_read_input_tokens=4000)
    split = t.CacheCreation(ephemeral_5m_input_tokens=100, ephemeral_1h_input_tokens=200)
    yield Case("usage-cache", named_sse([
        start(input_tokens=7, cache_creation=split, **cache), *hello, *finish("end_turn", output=12)]),
        shows="disjoint cache counts, split by lifetime, and a last usage that leaves them out")
    final = finish("end_turn", output=30, input_tokens=9, cache_creation_input_tokens=310, cache_read_input_tokens=4100)
    middle = t.RawMessageDeltaEvent(
        type="message_delta", delta=t.raw_message_delta_event.Delta(stop_reason=None, stop_sequence=None),
        usage=t.MessageDeltaUsage(output_tokens=10, input_tokens=8))
    yield Case("usage-cumulative", named_sse([start(input_tokens=7, **cache), *hello, middle, *final]),
               shows="counts that come again replace the earlier ones, they are not added")

    yield Case("stop-max-tokens", named_sse([start(), *text(0, ["half a sen"]), *finish("max_tokens")]))
    yield Case("stop-sequence", named_sse([start(), *text(0, ["up to"]), *finish("stop_sequence", stop_sequence="###")]))
    yield Case("stop-pause-turn", named_sse([
        start(), *server_tool(0, "srvtoolu_01", "web_search", ['{"query":"x"}']), *finish("pause_turn")]),
        shows="the vendor's own tools are not finished; the same history goes on")
    yield Case("stop-context-full", named_sse([
        start(), *text(0, ["so far"]), *finish("model_context_window_exceeded")]))
    why = t.RefusalStopDetails(type="refusal", category="cyber", explanation="This request could enable harm.")
    yield Case("stop-refusal", named_sse([start(), *text(0, ["I"]), *finish("refusal", details=why)]),
               shows="a refusal with its category and explanation")
    yield Case("stop-refusal-bare", named_sse([start(), *finish("refusal", output=0)]), shows="a refusal without details")
    bare = [block(1, t.ToolUseBlock(type="tool_use", id="toolu_01", name="Write", input={})),
            *fragments(1, ['{"path":"a.txt","content":"half of'])]
    yield Case("stop-max-tokens-in-tool", named_sse([
        start(), *text(0, ["Writing."]), *bare, close(1), *finish("max_tokens")]),
        shows="the limit cut a call in half: it must never run")
    yield Case("stop-refusal-in-tool", named_sse([start(), *text(0, ["Ok."]), *bare, close(1), *finish("refusal")]),
               shows="a refusal while a call was being written")
    yield Case("type-last", type_last_sse([
        start(), *text(0, ["Hello"]), *tool(1, "toolu_01", "Read", ['{"path":', '"a"}']), *finish("tool_use")]),
        shows="the field that tells the kind comes after the others")
    yield Case("large-40k", large(), shows="40 KiB of text and two calls")

    summary = b.BetaCompactionBlock(type="compaction", content=None)
    fallback = b.BetaFallbackBlock(type="fallback", trigger=b.BetaFallbackRefusalTrigger(type="refusal", category="bio"),
                                   to=b.BetaFallbackInfo(model="claude-haiku-4-5"),
                                   **{"from": b.BetaFallbackInfo(model=MODEL)})

    def beta_block(index: int, content: Any) -> Any:
        return b.BetaRawContentBlockStartEvent(type="content_block_start", index=index, content_block=content)

    def beta_finish(reason: str) -> list[Any]:
        return [b.BetaRawMessageDeltaEvent(
            type="message_delta",
            delta=b.beta_raw_message_delta_event.Delta(stop_reason=reason, stop_sequence=None),
            usage=b.BetaMessageDeltaUsage(output_tokens=44)), t.RawMessageStopEvent(type="message_stop")]

    compacting = b.BetaRawContentBlockDeltaEvent(
        type="content_block_delta", index=0,
        delta=b.BetaCompactionContentBlockDelta(type="compaction_delta", content="<summary>so far</summary>"))
    yield Case("beta-compaction", named_sse([
        start(), beta_block(0, summary), compacting, close(0), *text(1, ["Going on."]), *beta_finish("end_turn")]),
        shows="the vendor's own summary of the history, as a block with one delta")
    yield Case("beta-compaction-stop", named_sse([
        start(), beta_block(0, summary), compacting, close(0), *beta_finish("compaction")]),
        shows="stopped after the summary")
    yield Case("beta-fallback", named_sse([
        start(), beta_block(0, fallback), close(0), *text(1, ["Hi."]), *beta_finish("end_turn")]),
        shows="another model took over")


# --- By hand: what the SDK's types refuse, cuts, and what only wire bytes can say ------------------


def by_hand() -> Iterator[Case]:
    hello = text(0, ["Hello", ", ", "world", "!"])
    for name, kind, message in [
        ("error-overloaded", "overloaded_error", "Overloaded"),
        ("error-api", "api_error", "Internal server error"),
        ("error-rate-limit", "rate_limit_error", "Number of request tokens has exceeded your rate limit"),
        ("error-invalid-request", "invalid_request_error", "messages.1.content.0: thinking blocks cannot be modified"),
        ("error-timeout", "timeout_error", "Request timed out"),
    ]:
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01"}
        yield Case(name, named_sse([start(), *hello[:3], error]), HAND, "an error after HTTP 200, in the middle of text")
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    yield Case("error-first", named_sse([overloaded]), HAND, "an error as the first event")
    yield Case("error-in-tool", named_sse([
        start(), block(0, t.ToolUseBlock(type="tool_use", id="toolu_01", name="Write", input={})),
        *fragments(0, ['{"path":"a']), overloaded]), HAND, "an error inside the arguments of a call")
    yield Case("error-after-tool", named_sse([
        start(), *tool(0, "toolu_01", "Write", ['{"path":"a"}']), overloaded]), HAND,
        "an error after a whole call: the message is not finished, the call must not run")

    yield Case("unknown-event", named_sse([
        start(), {"type": "message_mood", "mood": "fine"}, *hello,
        {"type": "content_block_glow", "index": 0, "level": 3}, *finish("end_turn")]), HAND,
        "event kinds that do not exist yet are skipped")
    new_block = {"type": "content_block_start", "index": 0,
                 "content_block": {"type": "hologram", "frames": [1, 2], "note": "keep me"}}
    yield Case("unknown-block", named_sse([start(), new_block, close(0), *text(1, ["Hi"]), *finish("end_turn")]), HAND,
               "a block kind that does not exist yet")
    yield Case("unknown-delta", named_sse([
        start(), hello[0], {"type": "content_block_delta", "index": 0, "delta": {"type": "aroma_delta", "aroma": "mint"}},
        *hello[1:], *finish("end_turn")]), HAND, "a delta kind that does not exist yet")
    yield Case("unknown-block-delta", named_sse([
        start(), new_block, {"type": "content_block_delta", "index": 0, "delta": {"type": "frame_delta", "frame": 3}},
        close(0), *text(1, ["Hi"]), *finish("end_turn")]), HAND, "an unknown block with a delta of its own")
    end = {"type": "message_delta", "delta": {"stop_reason": "galaxy_brain", "stop_sequence": None},
           "usage": {"output_tokens": 15}}
    yield Case("stop-unknown", named_sse([start(), *hello, end, {"type": "message_stop"}]), HAND,
               "a stop reason of a gateway's own")
    yield Case("fields-unknown", named_sse([
        {"type": "message_start", "shard": 7, "message": {
            "id": "msg_01", "type": "message", "role": "assistant", "model": MODEL, "content": [], "new": {"a": [1]},
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 25, "output_tokens": 1, "iterations": [], "carbon": 0.5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "mood": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi", "p": "abc"}},
        {"type": "content_block_stop", "index": 0, "x": 1}, *finish("end_turn")]), HAND,
        "fields that do not exist yet, everywhere")

    why = "the SDK fails the whole stream on arguments that are no JSON; a client should pair the call with an error"
    for name, raw in [
        ("tool-invalid-json", '{"path": "a.txt", "content": }'),
        ("tool-invalid-word", "not json at all"),
    ]:
        malformed = {"id": "toolu_01", "name": "Write", "malformed": raw, "arguments": None}
        yield Case(name, named_sse([start(), *tool(0, "toolu_01", "Write", pieces(raw, 9)), *finish("tool_use")]), HAND,
                   "arguments that are invalid at the end of the block", why,
                   by_us(calls=[malformed], stop="tool_use", tokens=(25, 15)))
    yield Case("tool-trailing-text", named_sse([
        start(), *tool(0, "toolu_01", "Write", pieces('{"path": "a.txt"} and so on', 9)), *finish("tool_use")]), HAND,
        "words behind whole arguments: the SDK's lenient reader drops them, read strictly they are malformed")
    cut = '{"path": "a.txt", "content": "half'
    yield Case("tool-unfinished-json", named_sse([
        start(), *tool(0, "toolu_01", "Write", pieces(cut, 9)), *finish("tool_use")]), HAND,
        "arguments that end in the middle, though the stop reason says tool_use")
    yield Case("tool-array", named_sse([start(), *tool(0, "toolu_01", "Write", ["[1,", "2]"]), *finish("tool_use")]), HAND,
               "arguments that are JSON but no object")
    yield Case("tool-input-at-start", named_sse([
        start(), {"type": "content_block_start", "index": 0, "content_block": {
            "type": "tool_use", "id": "toolu_01", "name": "Write", "input": {"path": "a.txt"}}},
        close(0), *finish("tool_use")]), HAND, "a gateway that sends the whole input in the first event of the block")
    yield Case("text-at-start", named_sse([
        start(), {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello"}},
        delta(0, t.TextDelta(type="text_delta", text=" there")), close(0), *finish("end_turn")]), HAND,
        "a gateway that sends the first words with the block")

    whole = named_sse([start(), *text(0, ["Some words."]), *tool(1, "toolu_01", "Read", ['{"path":', '"a.txt"}']),
                       *finish("tool_use")])
    yield Case("cut-before-stop", whole[: whole.index(b"event: message_stop")], HAND,
               "cut after the stop reason, before the terminal event")
    yield Case("cut-after-tool", whole[: whole.index(b"event: message_delta")], HAND, "cut after a whole call")
    yield Case("cut-in-tool", whole[: whole.index(b'"a.txt') - 60], HAND, "cut inside the frame of a fragment")
    yield Case("cut-after-start", named_sse([start()]), HAND, "cut after the first event")
    yield Case("cut-nothing", b"", HAND, "HTTP 200 and not one byte")
    done = named_sse([start(), *hello, *finish("end_turn")])
    yield Case("cut-last-newline", done[:-1], HAND, "the blank line that ends the last event never came")
    yield Case("trailing-bytes", done + b": bye\n\n" + named_sse([{"type": "ping"}]), HAND, "bytes after the terminal event")

    yield Case("framing-crlf", done.replace(b"\n", b"\r\n"), HAND, "lines end with CR LF")
    yield Case("framing-cr", done.replace(b"\n", b"\r"), HAND, "lines end with CR alone")
    yield Case("framing-comments", b": welcome\n\n" + done.replace(b"event: content", b": keep-alive\n\nevent: content"),
               HAND, "comments between events")
    yield Case("framing-no-space", done.replace(b"event: ", b"event:").replace(b"data: ", b"data:"), HAND,
               "no space after the colon")
    yield Case("framing-extra-fields", b"retry: 3000\n" + done.replace(b"event: ", b"id: 7\nevent: "), HAND,
               "id and retry fields")
    yield Case("framing-data-before-event", b"".join(
        b"\n".join(reversed(frame.split(b"\n"))) + b"\n\n" for frame in done.rstrip(b"\n").split(b"\n\n")), HAND,
        "the data line before the event line")
    yield Case("framing-blank-lines", b"\n\n\n" + done.replace(b"\n\n", b"\n\n\n\n"), HAND, "more blank lines than needed")
    yield Case("framing-bom", b"\xef\xbb\xbf" + done, HAND, "a byte order mark before the first field",
               "the SDK reads the mark as part of the first field's name and loses the whole message; "
               "the standard of this format says to skip it",
               by_us(["Hello, world!"], stop="end_turn", tokens=(25, 15)))
    split = done.replace(b'"delta":{', b'\ndata: "delta":{')
    yield Case("framing-many-data-lines", split, HAND, "one event's data over several data lines")
    yield Case("framing-padding", done.replace(b'"}}\n', b'"}             }\n'), HAND,
               "the servers pad deltas with blanks to hide their length")


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
