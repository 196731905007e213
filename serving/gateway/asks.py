"""From a request's body and headers to what is asked: of whom, for whom, and in which form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from router.chat import ChatRequest, Dialect

from ..errors import bad_request
from .callers import read_name, read_user, refuse_addresses

__all__ = ["Ask", "read_ask"]

_TARGET_HEADER: Final = "x-sluice-target-quality"
_CONVERSATION_HEADER: Final = "x-sluice-conversation"
_NUMBER: Final = re.compile(r"0?\.[0-9]{1,12}|0|1(\.0{0,12})?")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one request asks. `user` is '' for nobody, `target_quality` None for the cascade's."""

    model: str
    request: ChatRequest
    streamed: bool
    user: str
    conversation: str | None
    target_quality: float | None
    no_cache: bool


def read_ask(
    body: dict[str, Any], headers: Mapping[str, str], dialect: Dialect, *, user_header: str
) -> Ask:
    """What `body` asks; raises ApiError or InputError naming the field.

    `headers` have names in lower case. Fields that are not known here are a provider's to know.
    """
    refuse_addresses(body)
    streamed = body.pop("stream", None)
    if not isinstance(streamed, bool | None):
        raise bad_request("'stream' should be a boolean", param="stream", code="wrong_type")
    model = body.pop("model", None)
    if model is None:
        raise bad_request("'model' is required", param="model", code="missing_field")
    if not isinstance(model, str):
        raise bad_request("'model' should be a string", param="model", code="wrong_type")
    if "messages" not in body:
        raise bad_request("'messages' is required", param="messages", code="missing_field")
    messages = body.pop("messages")
    if not isinstance(messages, list):
        raise bad_request("'messages' should be a list", param="messages", code="wrong_type")
    return Ask(
        model=read_name(model, "model"),
        request=ChatRequest.of(messages, body, dialect=dialect),
        streamed=bool(streamed),
        user=_user(body, headers, dialect, user_header),
        conversation=read_name(headers.get(_CONVERSATION_HEADER), _CONVERSATION_HEADER) or None,
        target_quality=_target_quality(headers.get(_TARGET_HEADER)),
        no_cache=_refuses_cache(headers.get("cache-control", "")),
    )


def _user(
    body: Mapping[str, Any], headers: Mapping[str, str], dialect: Dialect, user_header: str
) -> str:
    """Whom the request is for, which each dialect says elsewhere."""
    if dialect == "openai":
        return read_user(body.get("user"), headers, param="user", user_header=user_header)
    metadata = body.get("metadata")
    said = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    return read_user(said, headers, param="metadata.user_id", user_header=user_header)


def _target_quality(said: str | None) -> float | None:
    if said is None:
        return None
    if not said or not _NUMBER.fullmatch(said):
        message = f"'{_TARGET_HEADER}' should be a number from 0 to 1"
        raise bad_request(message, param=_TARGET_HEADER)
    return float(said)


def _refuses_cache(cache_control: str) -> bool:
    if not cache_control:
        return False
    directives = {one.strip() for one in cache_control.lower().split(",")}
    return not directives.isdisjoint({"no-cache", "no-store"})
