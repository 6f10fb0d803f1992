"""Owns the OpenAI Responses streams.

Refuses to invent event kinds outside the section that says so.
"""

from typing import Any, Iterator

from openai.types import responses as r
from openai.types.responses import response as whole
from openai.types.responses import response_output_item as items
from openai.types.responses import response_output_text as out
from openai.types.responses import response_usage as counts

from . import HAND, HARD_TEXT, Case, by_us, dump, named_sse, pieces, type_last_sse, words

MODEL = "gpt-5.1"


def usage(input: int = 36, output: int = 87, cached: int = 0, written: int = 0, reasoning: int = 0) -> r.ResponseUsage:
    return r.ResponseUsage(
        input_tokens=input,
        input_tokens_details=counts.InputTokensDetails(cached_tokens=cached, cache_write_tokens=written),
        output_tokens=output,
        output_tokens_details=counts.OutputTokensDetails(reasoning_tokens=reasoning),
        total_tokens=input + output,
    )


def response(status: str, output: list[Any], **more: Any) -> r.Response:
    return r.Response(**{
        "id": "resp_01", "object": "response", "created_at": 1741476777, "status": status, "error": None,
        "incomplete_details": None, "instructions": None, "max_output_tokens": None, "model": MODEL, "output": output,
        "parallel_tool_calls": True, "previous_response_id": None, "temperature": 1.0, "tool_choice": "auto",
        "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": None, "user": None, "metadata": {},
    } | more)


class Stream:
    """Numbers the events and collects the items that the terminal response repeats."""

    def __init__(self, opening: tuple[str, ...] = ("created", "in_progress")) -> None:
        self.events: list[Any] = []
        self.output: list[Any] = []
        kinds = {"created": r.ResponseCreatedEvent, "queued": r.ResponseQueuedEvent,
                 "in_progress": r.ResponseInProgressEvent}
        for word in opening:
            status = "queued" if word == "queued" else "in_progress"
            self.add(kinds[word], f"response.{word}", response=response(status, []))

    def add(self, kind: Any, name: str, /, **fields: Any) -> None:
        number = len(self.events)
        self.events.append(kind(type=name, sequence_number=number, **fields))

    def raw(self, value: dict[str, Any]) -> "Stream":
        self.events.append(value | {"sequence_number": len(self.events)})
        return self

    def opened(self, item: Any) -> int:
        index = len(self.output)
        self.output.append(item)
        self.add(r.ResponseOutputItemAddedEvent, "response.output_item.added", output_index=index, item=item)
        return index

    def closed(self, index: int, item: Any) -> None:
        self.output[index] = item
        self.add(r.ResponseOutputItemDoneEvent, "response.output_item.done", output_index=index, item=item)

    def whole_item(self, before: Any, after: Any, *steps: tuple[Any, str, dict[str, Any]]) -> "Stream":
        """An item of the vendor's own tools: added, its steps, done."""
        index = self.opened(before)
        for kind, name, fields in steps:
            self.add(kind, name, output_index=index, **fields)
        self.closed(index, after)
        return self

    def message_open(self, id: str = "msg_01", **more: Any) -> int:
        return self.opened(r.ResponseOutputMessage(
            id=id, type="message", role="assistant", status="in_progress", content=[], **more))

    def text(self, fragments: list[str], id: str = "msg_01", annotations: list[Any] | None = None, **more: Any) -> "Stream":
        return self.texts([fragments], id, annotations, **more)

    def texts(self, parts: list[list[str]], id: str = "msg_01", annotations: list[Any] | None = None,
              **more: Any) -> "Stream":
        at = self.message_open(id, **more)
        content = []
        for number, fragments in enumerate(parts):
            place = {"item_id": id, "output_index": at, "content_index": number}
            empty = r.ResponseOutputText(type="output_text", text="", annotations=[])
            self.add(r.ResponseContentPartAddedEvent, "response.content_part.added", part=empty, **place)
            for piece in fragments:
                self.add(r.ResponseTextDeltaEvent, "response.output_text.delta", delta=piece, logprobs=[], **place)
            for index, note in enumerate(annotations or []):
                self.add(r.ResponseOutputTextAnnotationAddedEvent, "response.output_text.annotation.added",
                         annotation=note.model_dump(exclude_unset=True), annotation_index=index, **place)
            text = "".join(fragments)
            self.add(r.ResponseTextDoneEvent, "response.output_text.done", text=text, logprobs=[], **place)
            full = r.ResponseOutputText(type="output_text", text=text, annotations=annotations or [])
            self.add(r.ResponseContentPartDoneEvent, "response.content_part.done", part=full, **place)
            content.append(full)
        self.closed(at, r.ResponseOutputMessage(
            id=id, type="message", role="assistant", status="completed", content=content, **more))
        return self

    def refusal(self, fragments: list[str], id: str = "msg_01") -> "Stream":
        at = self.message_open(id)
        place = {"item_id": id, "output_index": at, "content_index": 0}
        self.add(r.ResponseContentPartAddedEvent, "response.content_part.added",
                 part=r.ResponseOutputRefusal(type="refusal", refusal=""), **place)
        for piece in fragments:
            self.add(r.ResponseRefusalDeltaEvent, "response.refusal.delta", delta=piece, **place)
        text = "".join(fragments)
        self.add(r.ResponseRefusalDoneEvent, "response.refusal.done", refusal=text, **place)
        part = r.ResponseOutputRefusal(type="refusal", refusal=text)
        self.add(r.ResponseContentPartDoneEvent, "response.content_part.done", part=part, **place)
        self.closed(at, r.ResponseOutputMessage(
            id=id, type="message", role="assistant", status="completed", content=[part]))
        return self

    def reasoning(self, summaries: list[list[str]], sealed: str | None, id: str = "rs_01",
                  half_sealed: str | None = None) -> "Stream":
        from openai.types.responses import response_reasoning_item as item
        from openai.types.responses import response_reasoning_summary_part_added_event as added
        from openai.types.responses import response_reasoning_summary_part_done_event as done
        seal = {} if half_sealed is None else {"encrypted_content": half_sealed}
        at = self.opened(r.ResponseReasoningItem(id=id, type="reasoning", summary=[], **seal))
        full = []
        for number, fragments in enumerate(summaries):
            place = {"item_id": id, "output_index": at, "summary_index": number}
            text = "".join(fragments)
            self.add(r.ResponseReasoningSummaryPartAddedEvent, "response.reasoning_summary_part.added",
                     part=added.Part(type="summary_text", text=""), **place)
            for piece in fragments:
                self.add(r.ResponseReasoningSummaryTextDeltaEvent, "response.reasoning_summary_text.delta",
                         delta=piece, **place)
            self.add(r.ResponseReasoningSummaryTextDoneEvent, "response.reasoning_summary_text.done", text=text, **place)
            self.add(r.ResponseReasoningSummaryPartDoneEvent, "response.reasoning_summary_part.done",
                     part=done.Part(type="summary_text", text=text), **place)
            full.append(item.Summary(type="summary_text", text=text))
        seal = {} if sealed is None else {"encrypted_content": sealed}
        self.closed(at, r.ResponseReasoningItem(id=id, type="reasoning", summary=full, **seal))
        return self

    def open_reasoning(self, fragments: list[str], id: str = "rs_01") -> "Stream":
        """Reasoning in full words, as open-weight models give it."""
        from openai.types.responses import response_content_part_added_event as added
        from openai.types.responses import response_content_part_done_event as done
        from openai.types.responses import response_reasoning_item as item
        at = self.opened(r.ResponseReasoningItem(id=id, type="reasoning", summary=[], content=[]))
        place = {"item_id": id, "output_index": at, "content_index": 0}
        text = "".join(fragments)
        self.add(r.ResponseContentPartAddedEvent, "response.content_part.added",
                 part=added.PartReasoningText(type="reasoning_text", text=""), **place)
        for piece in fragments:
            self.add(r.ResponseReasoningTextDeltaEvent, "response.reasoning_text.delta", delta=piece, **place)
        self.add(r.ResponseReasoningTextDoneEvent, "response.reasoning_text.done", text=text, **place)
        self.add(r.ResponseContentPartDoneEvent, "response.content_part.done",
                 part=done.PartReasoningText(type="reasoning_text", text=text), **place)
        self.closed(at, r.ResponseReasoningItem(
            id=id, type="reasoning", summary=[], content=[item.Content(type="reasoning_text", text=text)]))
        return self

    def call_open(self, number: int, name: str) -> int:
        return self.opened(r.ResponseFunctionToolCall(
            id=f"fc_{number}", type="function_call", status="in_progress", call_id=f"call_{number}", name=name,
            arguments=""))

    def call_piece(self, at: int, number: int, piece: str) -> None:
        self.add(r.ResponseFunctionCallArgumentsDeltaEvent, "response.function_call_arguments.delta",
                 item_id=f"fc_{number}", output_index=at, delta=piece)

    def call_close(self, at: int, number: int, name: str, text: str) -> None:
        self.add(r.ResponseFunctionCallArgumentsDoneEvent, "response.function_call_arguments.done",
                 item_id=f"fc_{number}", output_index=at, arguments=text)
        self.closed(at, r.ResponseFunctionToolCall(
            id=f"fc_{number}", type="function_call", status="completed", call_id=f"call_{number}", name=name,
            arguments=text))

    def call(self, number: int, name: str, fragments: list[str]) -> "Stream":
        at = self.call_open(number, name)
        for piece in fragments:
            self.call_piece(at, number, piece)
        self.call_close(at, number, name, "".join(fragments))
        return self

    def custom(self, number: int, name: str, fragments: list[str]) -> "Stream":
        id, call_id, text = f"ctc_{number}", f"call_{number}", "".join(fragments)
        item = dict(id=id, type="custom_tool_call", call_id=call_id, name=name)
        steps = [(r.ResponseCustomToolCallInputDeltaEvent, "response.custom_tool_call_input.delta",
                  {"item_id": id, "delta": piece}) for piece in fragments]
        steps.append((r.ResponseCustomToolCallInputDoneEvent, "response.custom_tool_call_input.done",
                      {"item_id": id, "input": text}))
        return self.whole_item(r.ResponseCustomToolCall(**item, input=""), r.ResponseCustomToolCall(**item, input=text),
                               *steps)

    def ended(self, **more: Any) -> list[Any]:
        final = response("completed", self.output, **({"usage": usage()} | more))
        self.add(r.ResponseCompletedEvent, "response.completed", response=final)
        return self.events

    def completed(self, **more: Any) -> bytes:
        return named_sse(self.ended(**more))

    def incomplete(self, reason: str) -> bytes:
        final = response("incomplete", self.output, usage=usage(output=16),
                         incomplete_details=whole.IncompleteDetails(reason=reason))
        self.add(r.ResponseIncompleteEvent, "response.incomplete", response=final)
        return self.bytes()

    def failed(self, code: str, message: str) -> bytes:
        final = response("failed", self.output, error=r.ResponseError(code=code, message=message))
        self.add(r.ResponseFailedEvent, "response.failed", response=final)
        return self.bytes()

    def bytes(self) -> bytes:
        return named_sse(self.events)


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


def vendor_tools() -> Stream:
    stream = Stream()
    files = dict(id="fs_1", type="file_search_call", queries=["q"])
    stream.whole_item(
        r.ResponseFileSearchToolCall(**files, status="in_progress"),
        r.ResponseFileSearchToolCall(**files, status="completed", results=None),
        (r.ResponseFileSearchCallInProgressEvent, "response.file_search_call.in_progress", {"item_id": "fs_1"}),
        (r.ResponseFileSearchCallSearchingEvent, "response.file_search_call.searching", {"item_id": "fs_1"}),
        (r.ResponseFileSearchCallCompletedEvent, "response.file_search_call.completed", {"item_id": "fs_1"}))
    code = dict(id="ci_1", type="code_interpreter_call", container_id="cntr_1", outputs=None)
    name = "response.code_interpreter_call"
    stream.whole_item(
        r.ResponseCodeInterpreterToolCall(**code, status="in_progress", code=""),
        r.ResponseCodeInterpreterToolCall(**code, status="completed", code="2+2"),
        (r.ResponseCodeInterpreterCallInProgressEvent, f"{name}.in_progress", {"item_id": "ci_1"}),
        (r.ResponseCodeInterpreterCallCodeDeltaEvent, f"{name}_code.delta", {"item_id": "ci_1", "delta": "2+2"}),
        (r.ResponseCodeInterpreterCallCodeDoneEvent, f"{name}_code.done", {"item_id": "ci_1", "code": "2+2"}),
        (r.ResponseCodeInterpreterCallInterpretingEvent, f"{name}.interpreting", {"item_id": "ci_1"}),
        (r.ResponseCodeInterpreterCallCompletedEvent, f"{name}.completed", {"item_id": "ci_1"}))
    picture = dict(id="ig_1", type="image_generation_call")
    name = "response.image_generation_call"
    stream.whole_item(
        items.ImageGenerationCall(**picture, status="in_progress", result=None),
        items.ImageGenerationCall(**picture, status="completed", result="iVBORw0KGgo="),
        (r.ResponseImageGenCallInProgressEvent, f"{name}.in_progress", {"item_id": "ig_1"}),
        (r.ResponseImageGenCallGeneratingEvent, f"{name}.generating", {"item_id": "ig_1"}),
        (r.ResponseImageGenCallPartialImageEvent, f"{name}.partial_image",
         {"item_id": "ig_1", "partial_image_b64": "iVBORw0K", "partial_image_index": 0}),
        (r.ResponseImageGenCallCompletedEvent, f"{name}.completed", {"item_id": "ig_1"}))
    listed = dict(id="mcpl_1", type="mcp_list_tools", server_label="docs")
    name = "response.mcp_list_tools"
    stream.whole_item(
        items.McpListTools(**listed, tools=[]),
        items.McpListTools(**listed, tools=[items.McpListToolsTool(name="ask", input_schema={"type": "object"})]),
        (r.ResponseMcpListToolsInProgressEvent, f"{name}.in_progress", {"item_id": "mcpl_1"}),
        (r.ResponseMcpListToolsCompletedEvent, f"{name}.completed", {"item_id": "mcpl_1"}))
    broken = listed | {"id": "mcpl_2", "tools": []}
    stream.whole_item(
        items.McpListTools(**broken), items.McpListTools(**broken, error="unreachable"),
        (r.ResponseMcpListToolsInProgressEvent, f"{name}.in_progress", {"item_id": "mcpl_2"}),
        (r.ResponseMcpListToolsFailedEvent, f"{name}.failed", {"item_id": "mcpl_2"}))
    asked = dict(id="mcp_1", type="mcp_call", server_label="docs", name="ask")
    name = "response.mcp_call"
    stream.whole_item(
        items.McpCall(**asked, arguments=""), items.McpCall(**asked, arguments='{"q":"x"}', output="answer"),
        (r.ResponseMcpCallInProgressEvent, f"{name}.in_progress", {"item_id": "mcp_1"}),
        (r.ResponseMcpCallArgumentsDeltaEvent, f"{name}_arguments.delta", {"item_id": "mcp_1", "delta": '{"q":"x"}'}),
        (r.ResponseMcpCallArgumentsDoneEvent, f"{name}_arguments.done", {"item_id": "mcp_1", "arguments": '{"q":"x"}'}),
        (r.ResponseMcpCallCompletedEvent, f"{name}.completed", {"item_id": "mcp_1"}))
    asked["id"] = "mcp_2"
    stream.whole_item(
        items.McpCall(**asked, arguments=""), items.McpCall(**asked, arguments="{}", status="failed"),
        (r.ResponseMcpCallFailedEvent, f"{name}.failed", {"item_id": "mcp_2"}))
    approval = items.McpApprovalRequest(id="mcpr_1", type="mcp_approval_request", server_label="docs", name="ask",
                                        arguments="{}")
    stream.whole_item(approval, approval)
    local = dict(id="lsh_1", type="local_shell_call", call_id="call_90",
                 action=items.LocalShellCallAction(type="exec", command=["ls"], env={}))
    stream.whole_item(items.LocalShellCall(**local, status="in_progress"),
                      items.LocalShellCall(**local, status="completed"))
    from openai.types.responses import response_function_shell_tool_call as shell
    from openai.types.responses import response_function_shell_tool_call_output as shell_output
    from openai.types.responses import response_shell_call_output_content_delta_event as shell_delta
    from openai.types.responses import response_shell_call_output_content_done_event as shell_done
    run = dict(id="sh_1", type="shell_call", call_id="call_91", environment=None)
    name = "response.shell_call_command"
    stream.whole_item(
        r.ResponseFunctionShellToolCall(**run, status="in_progress", action=shell.Action(commands=[])),
        r.ResponseFunctionShellToolCall(**run, status="completed", action=shell.Action(commands=["ls -a"])),
        (r.ResponseShellCallCommandAddedEvent, f"{name}.added", {"command": "", "command_index": 0}),
        (r.ResponseShellCallCommandDeltaEvent, f"{name}.delta", {"delta": "ls -a", "command_index": 0}),
        (r.ResponseShellCallCommandDoneEvent, f"{name}.done", {"command": "ls -a", "command_index": 0}))
    came = dict(id="sho_1", type="shell_call_output", call_id="call_91", max_output_length=None)
    name = "response.shell_call_output_content"
    place = {"item_id": "sho_1", "command_index": 0}
    stream.whole_item(
        r.ResponseFunctionShellToolCallOutput(**came, status="in_progress", output=[]),
        r.ResponseFunctionShellToolCallOutput(**came, status="completed", output=[shell_output.Output(
            stdout=".\n", stderr="", outcome=shell_output.OutputOutcomeExit(type="exit", exit_code=0))]),
        (r.ResponseShellCallOutputContentDeltaEvent, f"{name}.delta", place | {
            "delta": shell_delta.Delta(stdout=".\n")}),
        (r.ResponseShellCallOutputContentDoneEvent, f"{name}.done", place | {"output": [shell_done.Output(
            stdout=".\n", stderr="", outcome=shell_done.OutputOutcomeExit(type="exit", exit_code=0))]}))
    packed = r.ResponseCompactionItem(id="cmp_1", type="compaction", encrypted_content="gAAAAABpacked==")
    return stream.whole_item(packed, packed, (
        r.ResponseCompactionCompactingEvent, "response.compaction.compacting", {"item_id": "cmp_1"}))


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
    yield Case("cut-in-tool", full[: full.index(b"event: response.function_call_arguments.done")], HAND,
               "cut inside the arguments of a call")
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


def stream_end(stream: Stream) -> dict[str, Any]:
    """The terminal event as a dict, to be bent by hand; it is not part of the stream yet."""
    final = r.ResponseCompletedEvent(
        type="response.completed", sequence_number=len(stream.events),
        response=response("completed", stream.output, usage=usage()))
    return dump(final)


def cases() -> Iterator[Case]:
    yield from made()
    yield from by_hand()
