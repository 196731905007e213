"""From a model's answer to an object of the schema that was asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from operator import itemgetter
from typing import Any, Literal, Protocol, get_args

import langchain_core.exceptions as core_exceptions
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import (
    JsonOutputParser,
    PydanticOutputParser,
)
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    PydanticToolsParser,
)
from langchain_core.runnables import (
    Runnable,
    RunnableGenerator,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.utils.pydantic import is_basemodel_subclass

from ..config import nearest
from ..errors import InputError
from .tools import to_response_format, to_tool

__all__ = ["StructuredMethod", "structure_output"]

StructuredMethod = Literal["function_calling", "json_schema", "json_mode"]


class _Model(Protocol):
    def bind(self, **kwargs: Any) -> Runnable[Any, Any]: ...
    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[Any, Any]: ...


def structure_output(
    model: _Model,
    schema: Any,
    *,
    method: StructuredMethod,
    include_raw: bool,
    strict: bool | None,
    options: Mapping[str, Any],
) -> Runnable[Any, Any]:
    """`CascadeChatModel.with_structured_output`; `options` go with every call."""
    if method not in get_args(StructuredMethod):
        known = get_args(StructuredMethod)
        raise InputError(
            f"'method' is {method!r}, expected one of {', '.join(known)}{nearest(method, known)}",
            param="method",
        )
    if method == "json_mode" and strict is not None:
        raise InputError("'strict' needs a schema, and json_mode sends none", param="strict")
    if method != "json_mode" and schema is None:
        raise InputError(f"'schema' is missing, and {method} needs one", param="schema")
    bound = dict(options)
    if schema is not None:  # for traces; langchain-core takes it out again
        how = {"method": method, **({} if strict is None else {"strict": strict})}
        bound["ls_structured_output_format"] = {"kwargs": how, "schema": schema}
    if method == "function_calling":
        name = to_tool(schema, "schema", strict=strict)["function"]["name"]
        llm = model.bind_tools([schema], strict=strict, **{"tool_choice": name, **bound})
        return _parsed(llm, _call_parser(schema, name), include_raw=include_raw)
    if method == "json_schema":
        wanted = to_response_format(schema, strict=strict)
    else:
        wanted = {"type": "json_object"}
    llm = model.bind(response_format=wanted, **bound)
    return _parsed(llm, _answer_parser(schema), include_raw=include_raw)


def _call_parser(schema: Any, tool_name: str) -> Runnable[Any, Any]:
    if _is_pydantic(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=tool_name, first_tool_only=True)


def _answer_parser(schema: Any) -> Runnable[Any, Any]:
    if _is_pydantic(schema):
        return PydanticOutputParser(pydantic_object=schema)
    return JsonOutputParser()


def _parsed(
    llm: Runnable[Any, Any], parser: Runnable[Any, Any], *, include_raw: bool
) -> Runnable[Any, Any]:
    """`llm` with its answers parsed; a refusal is an error and not an empty result."""
    checked = RunnableGenerator(_check, _acheck) | parser
    if not include_raw:
        return llm | checked
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | checked, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _is_pydantic(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _check(messages: Iterator[BaseMessage]) -> Iterator[BaseMessage]:
    for message in messages:
        _raise_on_refusal(message)
        yield message


async def _acheck(messages: AsyncIterator[BaseMessage]) -> AsyncIterator[BaseMessage]:
    async for message in messages:
        _raise_on_refusal(message)
        yield message


def _raise_on_refusal(message: BaseMessage) -> None:
    if not message.additional_kwargs.get("refusal"):
        return
    said = "the model refused to answer"  # its words are in the raw message
    if refusal_error := getattr(core_exceptions, "ModelRefusalError", None):
        raise refusal_error(said, raw_message=message)
    raise core_exceptions.OutputParserException(said)  # before langchain-core knew refusals
