"""The names that a tenant may give as a model, listed as OpenAI's and Anthropic's clients read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from router.model_limits import max_output_tokens

from ..access.tenants import Tenant
from ..config import AUTO, ENCODER_MODEL, GatewayConfig
from ..errors import ApiError, bad_request

__all__ = [
    "ListedModel",
    "anthropic_model",
    "anthropic_page",
    "find_listed",
    "list_models",
    "openai_list",
    "openai_model",
]

Json = dict[str, Any]

_OWN: Final = "sluice"
_EPOCH: Final = "1970-01-01T00:00:00Z"  # Anthropic's word for a date that is not known
_PAGE: Final = 20
_MOST: Final = 1000


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """`owner` is the provider, "sluice" for what it makes of several; `max_tokens` is the most
    that it can write in one answer, None where that is not known."""

    id: str
    owner: str = _OWN
    max_tokens: int | None = None


def list_models(config: GatewayConfig, tenant: Tenant) -> tuple[ListedModel, ...]:
    """What `tenant` may ask: cascades first, then models, then those for embeddings."""
    return tuple(_list(config, tenant))


def find_listed(models: Sequence[ListedModel], name: str) -> ListedModel:
    """The model of that name; ApiError (404) when there is none for this tenant."""
    for model in models:
        if model.id == name:
            return model
    message = "there is no such model; GET /v1/models lists what this key may ask"
    raise ApiError(404, message, code="model_not_found", param="model")


def openai_list(models: Sequence[ListedModel]) -> Json:
    """OpenAI's list."""
    return {"object": "list", "data": [openai_model(model) for model in models]}


def openai_model(model: ListedModel) -> Json:
    """OpenAI's description of one model."""
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.owner}


def anthropic_page(models: Sequence[ListedModel], query: Mapping[str, str]) -> Json:
    """A page of Anthropic's list; `query` may hold `limit` and `after_id` or `before_id`, which
    are ids of other pages' models. Raises ApiError (400) naming the one that is wrong."""
    limit = _limit(query.get("limit"))
    if "after_id" in query and "before_id" in query:
        raise bad_request("give only one of 'after_id' and 'before_id'", param="before_id")
    if "before_id" in query:
        before = models[: _index(models, query, "before_id")]
        page, has_more = before[-limit:], len(before) > limit
    else:
        start = _index(models, query, "after_id") + 1 if "after_id" in query else 0
        page, has_more = models[start : start + limit], len(models) > start + limit
    return {
        "data": [anthropic_model(model) for model in page],
        "has_more": has_more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def anthropic_model(model: ListedModel) -> Json:
    """Anthropic's description of one model."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": _EPOCH,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": None,
        "max_tokens": model.max_tokens,
    }


def _list(config: GatewayConfig, tenant: Tenant) -> Iterator[ListedModel]:
    cascades = [name for name in config.serving_cascades if tenant.may_use_cascade(name)]
    if config.auto_cascade in cascades:
        yield ListedModel(id=AUTO)
    yield from (ListedModel(id=name) for name in cascades if name != AUTO)
    for model in config.models:
        if tenant.may_use_model(model.name):
            most = max_output_tokens(model)
            yield ListedModel(id=model.name, owner=model.provider, max_tokens=most)
    for model in config.embeddings:
        if tenant.may_use_model(model.name):
            yield ListedModel(id=model.name, owner=model.provider)
    if tenant.may_use_model(ENCODER_MODEL):
        yield ListedModel(id=ENCODER_MODEL)


def _limit(said: str | None) -> int:
    if said is None:
        return _PAGE
    if not (said.isascii() and said.isdecimal() and len(said) <= 4 and 1 <= int(said) <= _MOST):
        raise bad_request(f"'limit' should be a whole number from 1 to {_MOST}", param="limit")
    return int(said)


def _index(models: Sequence[ListedModel], query: Mapping[str, str], param: str) -> int:
    for index, model in enumerate(models):
        if model.id == query[param]:
            return index
    raise bad_request(f"'{param}' is not the id of a model that is listed here", param=param)
