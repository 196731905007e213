"""A model's configured parameters, put into the words of a provider of another dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...chat import ChatRequest, Dialect
from ...errors import InputError
from .openai_body import LimitName, to_openai_body
from .request import to_anthropic

__all__ = ["translate_params"]

_MESSAGES: Final = ({"role": "user", "content": "-"},)  # a request needs some


def translate_params(
    params: Mapping[str, Any], source: Dialect, target: Dialect, *, limit: LimitName
) -> Mapping[str, Any]:
    """`params` of the dialect `source` in that of `target`; what it has no word for, and could be
    left out of a request too, is left out. `limit` is as for `to_openai_body`.

    Raises InputError naming what cannot be left out.
    """
    if source == target:
        return params
    request = ChatRequest(messages=_MESSAGES, params=params, dialect=source)
    if target == "openai":
        if params.get("system"):
            raise InputError("'system' is a message in the OpenAI dialect", param="system")
        body = to_openai_body(request, limit=limit).body
    else:
        body = to_anthropic(request, max_tokens=0).body
        if not body["max_tokens"]:  # there is none among them
            del body["max_tokens"]
    del body["messages"]
    return body
