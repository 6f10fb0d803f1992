"""Owns the writer of OpenAI Responses streams: it numbers the events and repeats the items at the end.

Refuses to know cases.
"""

from typing import Any

from openai.types import responses as r
from openai.types.responses import response as whole
from openai.types.responses import response_output_item as items
from openai.types.responses import response_usage as counts

from . import dump, named_sse

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


def stream_end(stream: Stream) -> dict[str, Any]:
    """The terminal event as a dict, to be bent by hand; it is not part of the stream yet."""
    final = r.ResponseCompletedEvent(
        type="response.completed", sequence_number=len(stream.events),
        response=response("completed", stream.output, usage=usage()))
    return dump(final)


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
