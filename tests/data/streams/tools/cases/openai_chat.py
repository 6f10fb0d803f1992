"""Owns the OpenAI Chat Completions streams, and those of the servers that imitate it.

Refuses to call a compatible's quirk official: all of them stand in the section by hand.
"""

from typing import Any, Iterator

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk
from openai.types.chat import chat_completion_chunk as c
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails

from . import HAND, HARD_TEXT, Case, by_us, dump, pieces, plain_sse, words

DONE = b"data: [DONE]\n\n"
WHO = {"id": "chatcmpl-01", "object": "chat.completion.chunk", "created": 1741476777, "model": "gpt-4.1"}


def chunk(finish: str | None = None, **delta: Any) -> ChatCompletionChunk:
    choice = c.Choice(index=0, delta=c.ChoiceDelta(**delta), finish_reason=finish, logprobs=None)
    return ChatCompletionChunk(**WHO, service_tier="default", system_fingerprint="fp_01", choices=[choice], usage=None)


def opening() -> ChatCompletionChunk:
    return chunk(role="assistant", content="", refusal=None)


def counted(prompt: int = 19, completion: int = 10, cached: int = 0, reasoning: int = 0, **more: Any) -> ChatCompletionChunk:
    usage = CompletionUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=cached, audio_tokens=0, **more),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=reasoning, audio_tokens=0, accepted_prediction_tokens=0, rejected_prediction_tokens=0))
    return ChatCompletionChunk(**WHO, choices=[], usage=usage)


def text(fragments: list[str]) -> list[Any]:
    return [opening(), *[chunk(content=piece) for piece in fragments]]


def call(index: int, number: int, name: str, fragments: list[str]) -> list[Any]:
    first = c.ChoiceDeltaToolCall(index=index, id=f"call_{number}", type="function",
                                  function=c.ChoiceDeltaToolCallFunction(name=name, arguments=""))
    rest = [c.ChoiceDeltaToolCall(index=index, function=c.ChoiceDeltaToolCallFunction(arguments=piece))
            for piece in fragments]
    return [chunk(tool_calls=[piece]) for piece in [first, *rest]]


def whole(*events: Any, finish: str = "stop") -> bytes:
    """Events, the finish reason, the usage chunk, the marker."""
    return plain_sse([*events, chunk(finish=finish), counted(), DONE])


# --- Made by the SDK's own types ------------------------------------------------------------------


def made() -> Iterator[Case]:
    hello = ["Hello", ", ", "world", "!"]
    yield Case("text", whole(*text(hello)), shows="the plainest answer, with the usage chunk whose choices are empty")
    yield Case("text-no-usage", plain_sse([*text(hello), chunk(finish="stop"), DONE]), shows="nobody asked for usage")
    yield Case("text-unicode", whole(*text(HARD_TEXT)),
               shows="characters of two to four bytes, CRLF inside JSON, separators, words that look like framing")
    yield Case("empty", whole(opening()), shows="an answer without words")
    yield Case("usage-details", plain_sse([*text(hello), chunk(finish="stop"), counted(
        2006, 300, cached=1920, reasoning=64), DONE]), shows="prompt tokens include the cached, completion the reasoning")
    yield Case("usage-cache-write", plain_sse([*text(hello), chunk(finish="stop"), counted(
        2006, 300, cached=1000, cache_write_tokens=600), DONE]), shows="prompt tokens include those written to the cache")
    weather = ['{"', "loc", 'ation":', ' "Paris', '"}']
    yield Case("tool", whole(opening(), *call(0, 1, "get_weather", weather), finish="tool_calls"),
               shows="arguments in fragments, id and name only in the first")
    yield Case("tool-after-text", whole(*text(["Let me ", "look."]), *call(0, 1, "Read", ['{"path":"a"}']),
                                        finish="tool_calls"), shows="text before a call")
    yield Case("tool-parallel", whole(
        opening(), *call(0, 1, "Read", ['{"path":', '"a"}']), *call(1, 2, "Read", ['{"path":"b"}']),
        *call(2, 3, "now", ["{}"]), finish="tool_calls"), shows="three calls, one after the other")
    one, two = call(0, 1, "Read", ['{"path":', '"a"}']), call(1, 2, "Grep", ['{"pattern":', '"x"}'])
    mixed = [event for pair in zip(one, two) for event in pair]
    yield Case("tool-interleaved", whole(opening(), *mixed, finish="tool_calls"), shows="two calls whose pieces take turns")
    yield Case("tool-identical", whole(
        opening(), *call(0, 1, "Read", ['{"path":"a"}']), *call(1, 2, "Read", ['{"path":"a"}']), finish="tool_calls"),
        shows="two identical calls are both real")
    at_once = [c.ChoiceDeltaToolCall(index=number, id=f"call_{number + 1}", type="function",
                                     function=c.ChoiceDeltaToolCallFunction(name="Read", arguments=f'{{"path":"{path}"}}'))
               for number, path in enumerate("ab")]
    yield Case("tool-whole", whole(opening(), chunk(tool_calls=at_once[:1]), finish="tool_calls"),
               shows="a whole call in one chunk")
    yield Case("tool-whole-parallel", whole(opening(), chunk(tool_calls=at_once), finish="tool_calls"),
               shows="two whole calls in one chunk")
    yield Case("tool-no-arguments", whole(opening(), *call(0, 1, "now", []), finish="tool_calls"),
               shows="arguments that stay an empty string")
    yield Case("tool-unicode", whole(opening(), *call(0, 1, "Write", ['{"t":"文', '🦀\\ud83e', '\\udd80\\r\\n"}']),
                                     finish="tool_calls"), shows="fragments cut inside an escaped surrogate pair")
    yield Case("tool-finish-stop", whole(opening(), *call(0, 1, "now", ["{}"]), finish="stop"),
               shows="a call, and yet the finish reason says stop")
    yield Case("finish-length", whole(*text(["half a"]), finish="length"))
    yield Case("finish-length-in-tool", whole(opening(), *call(0, 1, "Write", ['{"path":"a","content":"ha']),
                                              finish="length"), shows="the limit cut a call in half")
    yield Case("finish-content-filter", whole(*text(["so"]), finish="content_filter"))
    older = [chunk(function_call=c.ChoiceDeltaFunctionCall(name="now", arguments="")),
             chunk(function_call=c.ChoiceDeltaFunctionCall(arguments="{}"))]
    yield Case("finish-function-call", whole(opening(), *older, finish="function_call"),
               shows="the form before tool_calls: one call without an id")
    yield Case("refusal", whole(opening(), chunk(refusal="I'm sorry"), chunk(refusal=", no.")), shows="a refusal in its own field")
    padded = [chunk(content=piece) for piece in hello]
    for number, event in enumerate(padded):
        event.obfuscation = "xK93jd"[number:]
    yield Case("obfuscation", whole(opening(), *padded), shows="chunks padded with noise")
    joined = chunk(role="assistant", content="Hi", finish="stop")
    yield Case("one-chunk", plain_sse([joined, counted(), DONE]), shows="role, words and finish reason in one chunk")
    body = words(70, seed=7).replace("\n", "\\n")
    yield Case("large-40k", whole(
        *text(pieces(words(830), 37)),
        *call(0, 1, "Write", ['{"path": "notes/large.txt", ', '"content": "', *pieces(body, 60), '"}']),
        *call(1, 2, "Grep", ['{"pattern"', ': "fn ', 'main", "limit": ', "20}"]), finish="tool_calls"),
        shows="40 KiB of text and two calls")


# --- By hand: quirks of compatible servers, cuts, and what only wire bytes can say -----------------


def raw(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return WHO | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more


def piece(index: int | None, arguments: Any, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = ({"name": name} if name is not None else {}) | ({} if arguments is None else {"arguments": arguments})
    place = {} if index is None else {"index": index}
    return place | ({"id": id, "type": "function"} if id is not None else {}) | {"function": function}


def expected(calls: list[tuple[str | None, str, Any]], stop: str = "tool_calls", text: list[str] | None = None) -> dict[str, Any]:
    """What a good client makes of it, where the SDK does not."""
    rows = [{"id": id, "name": name, "arguments": arguments} for id, name, arguments in calls]
    return by_us(text, rows, stop, (19, 10))


def by_hand() -> Iterator[Case]:
    hello = ["Hello", ", ", "world", "!"]
    a, b = {"path": "a"}, {"path": "b"}

    def tools(*deltas: list[dict[str, Any]], finish: str = "tool_calls") -> bytes:
        return whole(opening(), *[raw({"tool_calls": delta}) for delta in deltas], finish=finish)

    yield Case("quirk-index-zero", tools([piece(0, '{"path":"a"}', "call_1", "Read")], [piece(0, '{"path":"b"}', "call_2", "Read")]),
               HAND, "every call has index 0", "the SDK joins both calls into one; a new id under an old index is a new call",
               expected([("call_1", "Read", a), ("call_2", "Read", b)]))
    yield Case("quirk-index-zero-fragments", tools(
        [piece(0, "", "call_1", "Read")], [piece(0, '{"path":')], [piece(0, '"a"}')],
        [piece(0, "", "call_2", "Grep")], [piece(0, '{"path":"b"}')]), HAND, "every call has index 0, in fragments",
        "the SDK joins both calls into one; a new id under an old index is a new call",
        expected([("call_1", "Read", a), ("call_2", "Grep", b)]))
    yield Case("quirk-index-missing", tools([piece(None, '{"path":"a"}', "call_1", "Read")], [piece(None, '{"path":"b"}', "call_2", "Read")]),
               HAND, "no call has an index", "the SDK's type demands an index",
               expected([("call_1", "Read", a), ("call_2", "Read", b)]))
    yield Case("quirk-id-missing", tools([piece(0, '{"path":"a"}', None, "Read")], [piece(1, '{"path":"b"}', None, "Read")]),
               HAND, "no call has an id: the client must make some")
    yield Case("quirk-id-empty", tools([piece(0, '{"path":"a"}', "", "Read")]), HAND, "an empty id is none",
               "the SDK keeps the empty string as an id", expected([(None, "Read", a)]))
    yield Case("quirk-id-repeated", tools(
        [piece(0, '{"path":', "call_1", "Read")], [piece(0, '"a"}', "call_1")]), HAND, "the id in every piece",
        "the SDK joins the ids as if they were text", expected([("call_1", "Read", a)]))
    yield Case("quirk-name-repeated", tools(
        [piece(0, '{"path":', "call_1", "Read")], [piece(0, '"a"', None, "Read")], [piece(0, "}", None, "Read")]), HAND,
        "the name in every piece", "the SDK joins the names as if they were text", expected([("call_1", "Read", a)]))
    yield Case("quirk-name-empty-later", tools(
        [piece(0, '{"path":', "call_1", "Read")], [piece(0, '"a"}', "", "")]), HAND, "empty id and name in later pieces")
    yield Case("quirk-arguments-object", tools([piece(0, {"path": "a"}, "call_1", "Read")]), HAND,
               "arguments as an object instead of its text: the SDK keeps the object where its type says text")
    yield Case("quirk-arguments-null", tools([{"index": 0, "id": "call_1", "type": "function",
                                               "function": {"name": "now", "arguments": None}}]), HAND,
               "null for empty arguments")
    yield Case("quirk-arguments-missing", tools([piece(0, None, "call_1", "now")]), HAND, "no arguments field at all")
    for name, text_of in [("tool-invalid-json", '{"path": }'), ("tool-trailing-text", '{"path":"a"} and so on'),
                          ("tool-array", "[1,2]")]:
        yield Case(name, tools([piece(0, text_of, "call_1", "Write")]), HAND,
                   "arguments that are not the text of a JSON object")
    yield Case("quirk-identical", tools(
        [piece(0, '{"path":"a"}', "call_1", "Read"), piece(1, '{"path":"a"}', "call_2", "Read")]), HAND,
        "two identical calls in one chunk")
    yield Case("quirk-id-same", tools(
        [piece(0, '{"path":"a"}', "call_1", "Read"), piece(1, '{"path":"b"}', "call_1", "Read")]), HAND,
        "two calls under one id: the indexes differ, so the calls do")
    yield Case("quirk-tool-finish-chunk", plain_sse([
        opening(), raw({"tool_calls": [piece(0, '{"path":"a"}', "call_1", "Read")]}, "tool_calls"), counted(), DONE]), HAND,
        "the call and the finish reason in one chunk")
    yield Case("quirk-tool-in-null-content", whole(
        raw({"role": "assistant", "content": None, "tool_calls": None}),
        raw({"content": None, "tool_calls": [piece(0, "{}", "call_1", "now")]}), finish="tool_calls"), HAND,
        "nulls where fields are absent")
    yield Case("quirk-usage-everywhere", plain_sse([
        raw({"role": "assistant", "content": ""}, usage={"prompt_tokens": 19, "completion_tokens": 0, "total_tokens": 19}),
        raw({"content": "Hi"}, usage={"prompt_tokens": 19, "completion_tokens": 1, "total_tokens": 20}),
        raw({}, "stop", usage={"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}), DONE]), HAND,
        "usage on every chunk: the last one counts")
    yield Case("quirk-usage-early", plain_sse([
        raw({"role": "assistant", "content": "Hi"}), raw({}, "stop", usage={
            "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}),
        raw({"content": ""}), DONE]), HAND, "usage with the finish reason, and one chunk more behind it",
        "the SDK forgets the usage when a later chunk has none", expected([], "stop", ["Hi"]))
    yield Case("quirk-reasoning-content", whole(
        raw({"role": "assistant", "content": None, "reasoning_content": "Let me"}),
        raw({"reasoning_content": " think"}), raw({"content": "Done", "reasoning_content": None}), raw({"content": "."})),
        HAND, "reasoning next to the content, as DeepSeek and vLLM send it")
    yield Case("quirk-reasoning", whole(
        raw({"role": "assistant", "content": "", "reasoning": "Let me"}), raw({"reasoning": " think"}),
        raw({"content": "Done."})), HAND, "the same under the name that OpenRouter uses")
    yield Case("quirk-role-everywhere", whole(*[raw({"role": "assistant", "content": word}) for word in hello]), HAND,
               "the role in every chunk")
    comment = b": OPENROUTER PROCESSING\n\n"
    yield Case("comments", comment + comment + plain_sse([opening(), comment, *text(hello)[1:], b":\n\n",
                                                          chunk(finish="stop"), counted(), DONE]), HAND,
               "comments as keep-alive")
    yield Case("no-done", plain_sse([*text(hello), chunk(finish="stop"), counted()]), HAND,
               "the marker never comes, but the finish reason did")
    yield Case("no-done-no-usage", plain_sse([*text(hello), chunk(finish="stop")]), HAND, "neither marker nor usage")
    yield Case("after-done", whole(*text(hello)) + plain_sse([chunk(content="ghost")]), HAND, "a chunk behind the marker")
    for name, error in [
        ("error-server", {"message": "The server had an error", "type": "server_error", "param": None, "code": None}),
        ("error-rate-limit", {"message": "Rate limit reached", "type": "requests", "param": None,
                              "code": "rate_limit_exceeded"}),
        ("error-quota", {"message": "You exceeded your quota", "type": "insufficient_quota", "param": None,
                         "code": "insufficient_quota"}),
        ("error-number", {"message": "Provider returned error", "code": 502}),
        ("error-number-limit", {"message": "Rate limited upstream", "code": 429}),
    ]:
        yield Case(name, plain_sse([*text(hello[:2]), {"error": error}]), HAND, "an error object inside HTTP 200")
    yield Case("error-text", plain_sse([*text(hello[:2]), {"error": "out of memory"}]), HAND, "an error that is only words")
    beside = raw({"content": ""}, "error", error={"message": "Provider disconnected", "code": 502})
    yield Case("error-beside-choice", plain_sse([*text(hello[:2]), beside, DONE]), HAND,
               "an error beside choices, then the marker, as OpenRouter sends it")
    yield Case("error-first", plain_sse([{"error": {"message": "Overloaded", "type": "overloaded_error", "code": 529}}]),
               HAND, "an error as the only chunk")
    yield Case("finish-unknown", plain_sse([*text(hello), raw({}, "eos_token"), counted(), DONE]), HAND,
               "a finish reason of a server's own")
    yield Case("fields-unknown", whole(
        opening(), raw({"content": "Hi", "mood": {"a": [1]}}, provider="x", prompt_filter_results=[]),
        WHO | {"choices": [], "x_group": {"id": 1}}), HAND, "fields that do not exist yet, and a chunk with nothing")
    azure = WHO | {"object": "", "id": "", "model": "", "created": 0, "choices": [],
                   "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    yield Case("azure-filter-first", plain_sse([azure, *text(hello), chunk(finish="stop"), counted(), DONE]), HAND,
               "a first chunk with filter results and no choice")
    yield Case("no-object-field", plain_sse([
        {key: value for key, value in dump(event).items() if key != "object"}
        for event in [*text(hello), chunk(finish="stop"), counted()]] + [DONE]), HAND, "chunks that do not name their kind",
        "the SDK skips chunks whose `object` is not its own", expected([], "stop", ["Hello, world!"]))
    yield Case("finish-empty-string", plain_sse([
        raw({"role": "assistant", "content": "Hi"}, ""), raw({"content": "!"}, ""), raw({}, "stop"), counted(), DONE]), HAND,
        "an empty finish reason is none")
    begun = [*text(["Some words."]), *call(0, 1, "Read", ['{"path":', '"a.txt"}'])]
    yield Case("cut-before-finish", plain_sse(begun), HAND, "cut after a whole call, before the finish reason")
    yield Case("cut-in-tool", plain_sse(begun[:-1]), HAND, "cut inside the arguments of a call")
    yield Case("cut-in-frame", plain_sse(begun)[:-150], HAND, "cut inside the frame of a piece")
    yield Case("cut-after-first", plain_sse([opening()]), HAND, "cut after the first chunk")
    yield Case("cut-nothing", b"", HAND, "HTTP 200 and not one byte")
    yield Case("done-without-finish", plain_sse([*text(hello), DONE]), HAND,
               "the marker came, the finish reason never did",
               "the SDK hands out no marker, so that this looks like a cut to it; the marker says that all came",
               by_us(["Hello, world!"]))
    done = whole(*text(hello))
    yield Case("framing-crlf", done.replace(b"\n", b"\r\n"), HAND, "lines end with CR LF")
    yield Case("framing-no-space", done.replace(b"data: ", b"data:"), HAND, "no space after the colon")


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
