"""OpenAI's chat completion, read strictly where it matters and mended where it does not.

An answer has to be in it: that is checked. The rest is mended (`openai_fields`), so that official
clients parse every reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .openai_fields import mend_choice, mend_head, mend_message, mend_usage
from .wire import WireError

__all__ = ["raise_error", "read_completion", "read_error"]

# What may stand in a message instead of text.
_ANSWERS: Final = ("tool_calls", "function_call", "refusal", "audio", "images")
_CAUSE_OF_CODE: Final = {
    "rate_limit_exceeded": "rate_limit",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "invalid_request_error": "bad_request",
    "context_length_exceeded": "bad_request",
}


def read_completion(body: Any) -> dict[str, Any]:
    """`body` as a chat completion that has an answer in its first choice.

    The body is mended in place. Raises WireError: "protocol" for a wrong shape, "empty" for no
    answer, "content_filter" for a withheld one, and what an error in the body says.
    """
    if not isinstance(body, dict):
        raise WireError(f"the reply is {_kind(body)}, not an object")
    raise_error(body)
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise WireError(f"'choices' is {_kind(choices)}, not a list")
    if not choices:
        raise WireError("'choices' is empty", cause="empty")
    for index, choice in enumerate(choices):
        _read_choice(choice, index)
    _check_answer(choices[0])
    mend_head(body, "chat.completion")
    mend_usage(body)
    return body


def _read_choice(choice: Any, index: int) -> None:
    where = f"choices[{index}]"
    if not isinstance(choice, dict):
        raise WireError(f"'{where}' is {_kind(choice)}, not an object")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise WireError(f"'{where}.message' is {_kind(message)}, not an object")
    content = message.setdefault("content", None)
    if content is not None and not isinstance(content, (str, list)):
        raise WireError(f"'{where}.message.content' is {_kind(content)}, not text")
    mend_message(message)
    message["role"] = "assistant"
    calls = message.get("tool_calls")
    if calls:
        _read_calls(calls, f"{where}.message.tool_calls")
    else:
        message.pop("tool_calls", None)
    if choice.get("error") is not None and isinstance(choice["error"], Mapping):
        raise_error(choice)
    mend_choice(choice, index)
    choice["finish_reason"] = choice["finish_reason"] or ("tool_calls" if calls else "stop")


def _read_calls(calls: Any, where: str) -> None:
    if not isinstance(calls, list):
        raise WireError(f"'{where}' is {_kind(calls)}, not a list")
    for index, call in enumerate(calls):
        if not isinstance(call, dict):
            raise WireError(f"'{where}[{index}]' is {_kind(call)}, not an object")
        kind = "custom" if call.get("type") == "custom" else "function"
        function = call.get(kind)
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise WireError(f"'{where}[{index}].{kind}' has no name")
        call["type"] = kind
        if not isinstance(call.get("id"), str) or not call["id"]:
            call["id"] = f"call_{index}"
        if kind == "custom":
            if not isinstance(function.get("input"), str):
                raise WireError(f"'{where}[{index}].custom.input' is not text")
            continue
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            function["arguments"] = orjson.dumps(arguments).decode()
        elif not arguments:
            function["arguments"] = "{}"  # how a call without arguments is written
        elif not isinstance(arguments, str):
            raise WireError(f"'{where}[{index}].function.arguments' is {_kind(arguments)}")


def _check_answer(choice: Mapping[str, Any]) -> None:
    if choice["finish_reason"] == "content_filter":
        raise WireError("the provider's content filter stopped the answer", cause="content_filter")
    if choice["finish_reason"] == "error":
        raise WireError("the answer ended in an error of the provider's", cause="server")
    message = choice["message"]
    if (message["content"] or "").strip() or any(message.get(name) for name in _ANSWERS):
        return
    raise WireError(
        f"there is no text and no tool call (finish_reason {choice['finish_reason']})",
        cause="empty",
    )


def read_error(body: Any) -> tuple[str, str]:
    """(message, code) of an error body, "" for what is not there."""
    if isinstance(body, list) and body:  # Gemini wraps its errors in a list
        body = body[0]
    if not isinstance(body, Mapping):
        return "", ""
    error = body.get("error")
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, Mapping):
        error = body
    message = error.get("message")
    code = error.get("code") or error.get("status") or error.get("type")
    return (
        message if isinstance(message, str) else "",
        str(code) if isinstance(code, str | int) else "",
    )


def raise_error(body: Mapping[str, Any]) -> None:
    """Raise WireError when `body` is an error although its status said 200."""
    if not body.get("error"):
        return
    _, code = read_error(body)
    raise WireError("the reply is an error of the provider's", cause=_cause_of(code))


def _cause_of(code: str) -> str:
    if code.isdecimal():
        status = int(code)
        if status == 429:
            return "rate_limit"
        return "bad_request" if 400 <= status < 500 else "server"
    return _CAUSE_OF_CODE.get(code, "server")


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
