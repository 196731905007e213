"""What a request for embeddings asks, checked as far as the gateway has to understand it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import bad_request
from .callers import read_name, read_user, refuse_addresses

__all__ = ["MAX_INPUTS", "EmbeddingAsk", "EncoderAsk", "read_embedding_ask", "read_encoder_ask"]

MAX_INPUTS: Final = 2048  # of one request, as OpenAI has it
_ENCODER_FIELDS: Final = frozenset({"input", "encoding_format", "dimensions", "user"})


@dataclass(frozen=True, kw_only=True)
class EmbeddingAsk:
    """`body` is all that the caller wrote but the model; `inputs` are texts or lists of token
    ids. `user` is '' for nobody."""

    model: str
    body: Mapping[str, Any]
    inputs: tuple[Any, ...]
    user: str


@dataclass(frozen=True, kw_only=True)
class EncoderAsk:
    """What the artifact's own encoder is asked: texts, and whether vectors go out as base64.
    `dimensions` is what the caller expects of a vector, None where anything will do."""

    texts: tuple[str, ...]
    as_base64: bool
    dimensions: int | None


def read_embedding_ask(
    body: dict[str, Any], headers: Mapping[str, str], *, user_header: str
) -> EmbeddingAsk:
    """What `body` asks; raises ApiError (400) naming the field. `headers` have names in lower
    case. Fields that are not known here are a provider's to know."""
    refuse_addresses(body)
    if "model" not in body:
        raise bad_request("'model' is required", param="model", code="missing_field")
    model = body.pop("model")
    if not isinstance(model, str):
        raise bad_request("'model' should be a string", param="model", code="wrong_type")
    if "input" not in body:
        raise bad_request("'input' is required", param="input", code="missing_field")
    return EmbeddingAsk(
        model=read_name(model, "model"),
        body=body,
        inputs=_inputs(body["input"]),
        user=read_user(body.get("user"), headers, param="user", user_header=user_header),
    )


def read_encoder_ask(ask: EmbeddingAsk, *, max_inputs: int) -> EncoderAsk:
    """The same for the artifact's encoder; raises ApiError (400) for what it cannot do."""
    body = {name: value for name, value in ask.body.items() if value is not None}
    for name in body:
        if name not in _ENCODER_FIELDS:
            known = ", ".join(sorted(_ENCODER_FIELDS))
            message = f"unknown field '{name[:64]}'; known for {ask.model!r} are {known}"
            raise bad_request(message, param=name[:64], code="unknown_field")
    dimensions = body.get("dimensions")
    if dimensions is not None and not _is_whole(dimensions):
        message = "'dimensions' should be a whole number"
        raise bad_request(message, param="dimensions", code="wrong_type")
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        message = "'encoding_format' should be 'float' or 'base64'"
        raise bad_request(message, param="encoding_format")
    if len(ask.inputs) > max_inputs:
        message = f"'input' holds {len(ask.inputs)} texts, at most {max_inputs} are taken"
        raise bad_request(message, param="input", code="batch_too_large")
    for index, one in enumerate(ask.inputs):
        if not isinstance(one, str):
            message = (
                f"'input' holds token ids, and {ask.model!r} has a vocabulary of its own; send text"
            )
            raise bad_request(message, param="input", code="wrong_type")
        if not one.strip():
            raise bad_request(f"'input[{index}]' is blank", param=f"input[{index}]")
    return EncoderAsk(texts=ask.inputs, as_base64=form == "base64", dimensions=dimensions)


def _inputs(given: Any) -> tuple[Any, ...]:
    """Each input by itself: of a text, texts, token ids or lists of them."""
    if isinstance(given, str):
        found: tuple[Any, ...] = (given,)
    elif isinstance(given, list) and given and all(map(_is_whole, given)):
        found = (given,)
    elif isinstance(given, list):
        found = tuple(given)
    else:
        raise _wrong_type("input")
    if not found:
        raise bad_request("'input' is empty", param="input")
    if len(found) > MAX_INPUTS:
        message = f"'input' holds {len(found)} inputs, at most {MAX_INPUTS} are taken"
        raise bad_request(message, param="input", code="batch_too_large")
    for index, one in enumerate(found):
        where = "input" if isinstance(given, str) else f"input[{index}]"
        if isinstance(one, str):
            if not one:
                raise bad_request(f"'{where}' is empty", param=where)
        elif not (isinstance(one, list) and one and all(map(_is_whole, one))):
            raise _wrong_type(where)
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong_type(where: str) -> Exception:
    what = "a text, texts, or lists of token ids" if where == "input" else "a text or token ids"
    return bad_request(f"'{where}' should be {what}", param=where, code="wrong_type")
