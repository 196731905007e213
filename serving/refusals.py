"""Pydantic's findings in words for a caller: the field by its path, the fault, what was found.

Never a value: only the kind of thing that was found ("a number").
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import ApiError, bad_request

__all__ = ["parse"]

_Model = TypeVar("_Model", bound=BaseModel)
_MAX_NAME = 64  # characters of a field's name that are repeated
_KINDS: dict[type, str] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a string",
    type(None): "null",
}
_CODES = {
    "extra_forbidden": "unknown_field",
    "missing": "missing_field",
}
# JSON's words for what pydantic calls by Python's.
_WORDS = (
    ("a valid dictionary", "an object"),
    ("a valid list", "a list"),
    ("a valid string", "a string"),
    ("a valid number", "a number"),
)


def parse(model: type[_Model], content: dict[str, Any]) -> _Model:
    """`content` as `model`, or a 400 that names the first field at fault."""
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        refusal = _refuse(model, exc.errors(include_url=False))
    raise refusal  # outside the handler: the original holds the input


def _refuse(model: type[BaseModel], faults: Sequence[ErrorDetails]) -> ApiError:
    """The refusal for the first fault; one that a misspelt name explains goes before the rest."""
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    param = _path(fault["loc"])
    kind = fault["type"]
    code = _CODES.get(kind, "wrong_type" if kind.endswith("_type") else "invalid_value")
    if kind == "missing":
        message = f"'{param}' is required"
    elif kind == "extra_forbidden":
        message = _unknown_field(model, fault["loc"], param)
    elif "param" in fault.get("ctx", {}):  # raised by a wire model's own check
        return bad_request(fault["msg"], param=fault["ctx"]["param"], code=kind)
    else:
        message = _in_words(fault, param)
    return bad_request(message, param=param, code=code)


def _unknown_field(model: type[BaseModel], loc: tuple[int | str, ...], param: str) -> str:
    message = f"unknown field '{param}'"
    if len(loc) > 1:
        return message
    known = list(model.model_fields)
    near = get_close_matches(param, known, n=1, cutoff=0.6)
    return (
        f"{message}; did you mean '{near[0]}'?"
        if near
        else (f"{message}; known are {', '.join(known)}")
    )


def _in_words(fault: ErrorDetails, param: str) -> str:
    said = fault["msg"].removeprefix("Value error, ")
    for pythonic, plain in _WORDS:
        said = said.replace(pythonic, plain)
    said = said.removeprefix("Input ").removeprefix("String ").removeprefix("List ")
    found = _KINDS.get(type(fault["input"]))
    suffix = f", found {found}" if found and fault["type"].endswith("_type") else ""
    return f"'{param}' {said}{suffix}"


def _path(loc: tuple[int | str, ...]) -> str:
    """("messages", 2, "content") as "messages[2].content"."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step[:_MAX_NAME]}" if path else step[:_MAX_NAME]
    return path
