"""An assistant that really does what it is asked, as far as LangChain's standard tests ask it.

    with Upstream(Assistant()) as upstream: ...

It speaks OpenAI's dialect and Anthropic's. It refuses what OpenAI's API would refuse, calls the
tools it is given when it has to or when the prompt is about one, answers in the format that is
demanded, stops where it is told to, and counts tokens: a prompt that it has read before comes from
its cache.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from router.chat import ChatRequest
from router.providers.translate.request import to_openai
from tests.behaviours import Received, Script, answer, answer_anthropic, fail

__all__ = ["Assistant"]

Json = dict[str, Any]

_FIELDS: Final = {
    "system": {"content", "name"},
    "developer": {"content", "name"},
    "user": {"content", "name"},
    "assistant": {"content", "name", "tool_calls", "refusal", "audio"},
    "tool": {"content", "name", "tool_call_id"},
}
_PARTS: Final = {
    "text": {"text", "cache_control"},
    "image_url": {"image_url", "cache_control"},
    "input_audio": {"input_audio"},
    "file": {"file"},
    "refusal": {"refusal"},
}
_HAIKUS: Final = (
    "Old pond, a frog jumps.\nThe sound of water answers,\nthen the pond is still.\n\n"
    "First snow on the bridge.\nNobody has crossed it yet,\nnot even the wind."
)
_REASONING_TOKENS: Final = 7
_OURS: Final = ("model", "messages", "stream")
_OF_ANTHROPIC: Final = ("thinking_blocks", "anthropic_content")


class Assistant:
    """A behaviour of `tests.upstream.Upstream`, the same for every model."""

    def __init__(self) -> None:
        self._read: set[str] = set()

    def __call__(self, request: Received) -> Script:
        if request.path.endswith("/messages"):
            return self._reply_to_anthropic(request)
        body = request.body
        if fault := next(_faults(body), None):
            return fail(400, "invalid_request_error", fault)(request)
        text, calls, reason, usage = self._answer(body)
        return answer(text, tool_calls=calls, finish_reason=reason, usage=usage)(request)

    def _reply_to_anthropic(self, request: Received) -> Script:
        params = {name: value for name, value in request.body.items() if name not in _OURS}
        messages = tuple(request.body["messages"])
        asked = to_openai(ChatRequest(messages=messages, params=params, dialect="anthropic"))
        plain = [
            {name: value for name, value in message.items() if name not in _OF_ANTHROPIC}
            for message in asked.messages
        ]
        body = {"messages": plain, **asked.params}
        if fault := next(_faults(body), None):
            return fail(400, "invalid_request_error", fault)(request)
        text, calls, reason, usage = self._answer(body)
        details = usage["prompt_tokens_details"]
        counted = {
            "input_tokens": 0,
            "cache_read_input_tokens": details["cached_tokens"],
            "cache_creation_input_tokens": details["cache_write_tokens"],
            "output_tokens": usage["completion_tokens"],
        }
        uses = [
            {
                "id": call["id"],
                "name": call["function"]["name"],
                "input": json.loads(call["function"]["arguments"]),
            }
            for call in calls
        ]
        stop_reason = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[reason]
        return answer_anthropic(text, tool_uses=uses, stop_reason=stop_reason, usage=counted)(
            request
        )

    def _answer(self, body: Json) -> tuple[str | None, list[Json], str, Json]:
        """Text, tool calls, finish reason and usage."""
        usage = self._usage_of_prompt(body)
        calls = _calls(body)
        text, reason = (None, "tool_calls") if calls else _cut(_text(body), body)
        reasoning = _REASONING_TOKENS if body.get("reasoning_effort") else 0
        usage["completion_tokens"] = len((text or json.dumps(calls)).split()) + reasoning
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        return text, calls, reason, usage

    def _usage_of_prompt(self, body: Json) -> Json:
        prompt = json.dumps([body["messages"], body.get("tools")])
        tokens = len(prompt.split())
        cached = tokens if prompt in self._read else 0
        self._read.add(prompt)
        details = {"cached_tokens": cached, "cache_write_tokens": tokens - cached}
        return {"prompt_tokens": tokens, "prompt_tokens_details": details}


def _faults(body: Json) -> Iterator[str]:
    """What OpenAI's API would not take."""
    if not body["messages"]:
        yield "messages is empty"
    waiting: set[str] = set()
    for index, message in enumerate(body["messages"]):
        where, role = f"messages[{index}]", message["role"]
        if role not in _FIELDS:
            yield f"{where}.role is {role}"
            return
        if unknown := message.keys() - _FIELDS[role] - {"role"}:
            yield f"{where} has {unknown}"
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"{where} answers no tool call"
            waiting.discard(message["tool_call_id"])
        elif waiting:
            yield f"{where} comes before the results of {waiting}"
        if role == "assistant":
            waiting = {call["id"] for call in message.get("tool_calls", ())}
            if not waiting and not isinstance(message["content"], str | list):
                yield f"{where} says nothing"
        elif not isinstance(message["content"], str | list):
            yield f"{where} has no content"
        for part in message["content"] if isinstance(message["content"], list) else ():
            yield from _part_faults(part, role, where)
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        yield "tool_choice names no tool"
    if choice is not None and not isinstance(choice, dict):
        if choice not in ("auto", "none", "required"):
            yield f"tool_choice is {choice}"
        if not names:
            yield "tool_choice without tools"
    kind = (body.get("response_format") or {}).get("type")
    if kind == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        yield "json_object needs the word json in the messages"
    if body.get("stop") == []:
        yield "stop is empty"


def _part_faults(part: Any, role: str, where: str) -> Iterator[str]:
    kind = part["type"]
    if kind not in _PARTS or part.keys() - _PARTS[kind] - {"type"}:
        yield f"{where} has a part {kind} with {sorted(part)}"
    elif role != "user" and kind not in ("text", "refusal"):
        yield f"{where} of {role} has a part {kind}"
    elif kind == "image_url" and not part["image_url"]["url"].startswith(("data:image/", "http")):
        yield f"{where} has an image without data or address"
    elif kind == "input_audio" and part["input_audio"]["format"] not in ("wav", "mp3"):
        yield f"{where} has audio of another format"
    elif kind == "file" and not (part["file"].get("file_id") or part["file"].get("filename")):
        yield f"{where} has a file without a name"


def _calls(body: Json) -> list[Json]:
    """The call of one tool, when it has to be or the user's last message is about one."""
    tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools", ())}
    choice = body.get("tool_choice", "auto")
    prompt = _last_text(body)
    about = [name for name in tools if _is_about(prompt, name)]
    if isinstance(choice, dict):
        name = choice["function"]["name"]
    elif choice == "required":
        name = (about or list(tools))[0]
    elif choice == "auto" and about and body["messages"][-1]["role"] == "user":
        name = about[0]
    else:
        return []
    filled = _fill(tools[name].get("parameters", {}), prompt)
    arguments = json.dumps(filled, ensure_ascii=False)
    call_id = f"call_{len(body['messages'])}"
    function = {"name": name, "arguments": arguments}
    return [{"id": call_id, "type": "function", "function": function}]


def _is_about(prompt: str, name: str) -> bool:
    return any(len(word) > 3 and word in prompt.lower() for word in name.lower().split("_"))


def _text(body: Json) -> str:
    last = body["messages"][-1]
    wanted = body.get("response_format") or {}
    prompt = _last_text(body)
    if wanted.get("type") == "json_schema":
        return json.dumps(_fill(wanted["json_schema"]["schema"], prompt))
    if wanted.get("type") == "json_object" or "nothing other than JSON" in prompt:
        return json.dumps({key: f"a {key} about cats" for key in re.findall(r"'(\w+)'", prompt)})
    if last["role"] == "tool":
        return f"The tool says: {_text_of(last['content'])}"
    if "haiku" in prompt:
        return _HAIKUS
    kinds = {part["type"] for part in last["content"] if isinstance(part, dict)} - {"text"}
    if kinds:
        return f"This shows one thing, as {', '.join(sorted(kinds))}."
    return "Hello! I am glad to help you. What can I do for you today?"


def _cut(text: str, body: Json) -> tuple[str, str]:
    """The text as far as `stop` and `max_tokens` let it go (a word is a token), and why it ends."""
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    limit = body.get("max_tokens")
    words = re.findall(r"\s*\S+", text)
    if limit is not None and len(words) > limit:
        return "".join(words[:limit]), "length"
    return text, "stop"


def _fill(schema: Any, prompt: str, root: Any = None) -> Any:
    """A value of a JSON schema, with what the prompt has to offer: its numbers, what it quotes."""
    root = root or schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _fill((root.get("$defs") or root.get("definitions"))[name], prompt, root)
    for choice in ("anyOf", "allOf", "oneOf"):
        if choice in schema:
            return _fill(schema[choice][0], prompt, root)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        return {name: _fill(inner, prompt, root) for name, inner in properties.items()}
    if kind == "array":
        return [_fill(schema["items"], prompt, root)]
    if kind in ("integer", "number"):
        return int((re.findall(r"\d+", prompt) or ["1"])[0])
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return (re.findall(r"'([^']+)'", prompt) or [prompt])[0]


def _last_text(body: Json) -> str:
    """The user's last message."""
    messages: Sequence[Json] = body["messages"]
    said = [message for message in messages if message["role"] == "user"]
    return _text_of(said[-1]["content"]) if said else ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content or () if part["type"] == "text")
