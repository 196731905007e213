"""The models of the list are those that the tenant may ask, in either dialect's shape."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo
from openai.types import Model

from router.config import ModelConfig
from router.records.key_records import KeySettings
from serving.access.tenants import ANYBODY, Tenant
from serving.config import CascadeSettings, GatewayConfig
from serving.errors import ApiError
from serving.gateway.model_list import (
    anthropic_model,
    anthropic_page,
    find_listed,
    list_models,
    openai_list,
)

CONFIG = GatewayConfig(
    models=(
        ModelConfig(name="small", provider="openai", max_tokens=500),
        ModelConfig(name="meta/large", provider="together"),
    ),
    cascades={"support": CascadeSettings(models=("small", "meta/large"))},
    embeddings=(ModelConfig(name="embed", provider="mistral"),),
)


def names(config: GatewayConfig = CONFIG, **allowed: Any) -> list[str]:
    tenant = Tenant(key_id="k", name="k", settings=KeySettings(**allowed))
    return [model.id for model in list_models(config, tenant)]


def test_cascades_come_first_then_models() -> None:
    every = ["auto", "support", "small", "meta/large", "embed", "sluice-encoder"]
    assert names() == every
    assert [model.id for model in list_models(CONFIG, ANYBODY)] == every


def test_auto_is_listed_once_where_it_is_a_cascade_of_its_own() -> None:
    chain = CascadeSettings(models=("small", "meta/large"))
    config = CONFIG.model_copy(update={"cascades": {"other": chain, "auto": chain}})
    assert names(config)[:3] == ["auto", "other", "small"]
    assert names(CONFIG.model_copy(update={"cascades": {}}))[:2] == ["auto", "small"]


def test_without_models_only_the_encoder_is_left() -> None:
    assert names(GatewayConfig()) == ["sluice-encoder"]


def test_a_tenant_sees_what_it_may_ask() -> None:
    assert names(models=("small",)) == ["small"]
    assert names(cascades=("support",)) == ["auto", "support"]  # which it stands for
    assert names(cascades=()) == ["small", "meta/large", "embed", "sluice-encoder"]
    assert names(models=("embed",), cascades=()) == ["embed"]


def test_openais_list() -> None:
    listed = openai_list(list_models(CONFIG, ANYBODY))
    assert listed["object"] == "list"
    for model in listed["data"]:
        Model.model_validate(model, strict=True)
    owners = {model["id"]: model["owned_by"] for model in listed["data"]}
    assert owners == {
        "auto": "sluice",
        "support": "sluice",
        "small": "openai",
        "meta/large": "together",
        "embed": "mistral",
        "sluice-encoder": "sluice",
    }


def test_one_model_is_found_by_its_name() -> None:
    listed = list_models(CONFIG, ANYBODY)
    assert find_listed(listed, "meta/large").owner == "together"
    with pytest.raises(ApiError) as caught:
        find_listed(listed, "nobody")
    error = caught.value
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")


def test_anthropics_models_are_what_its_client_reads() -> None:
    small = anthropic_model(find_listed(list_models(CONFIG, ANYBODY), "small"))
    found = ModelInfo.model_validate(small)
    assert (found.id, found.display_name, found.max_tokens) == ("small", "small", 500)
    assert found.lifecycle == "active"


def page(**query: str) -> tuple[list[str], bool]:
    found = anthropic_page(list_models(CONFIG, ANYBODY), query)
    ids = [model["id"] for model in found["data"]]
    ends = (ids[0], ids[-1]) if ids else (None, None)
    assert (found["first_id"], found["last_id"]) == ends
    return ids, found["has_more"]


def test_anthropics_list_has_pages_in_both_directions() -> None:
    assert len(page()[0]) == 6
    assert page(limit="2") == (["auto", "support"], True)
    assert page(limit="2", after_id="support") == (["small", "meta/large"], True)
    assert page(limit="2", after_id="meta/large") == (["embed", "sluice-encoder"], False)
    assert page(after_id="sluice-encoder") == ([], False)
    assert page(limit="2", before_id="meta/large") == (["support", "small"], True)
    assert page(limit="3", before_id="meta/large") == (["auto", "support", "small"], False)
    assert page(before_id="auto") == ([], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"after_id": "nobody"}, "after_id"),
        ({"before_id": "nobody"}, "before_id"),
        ({"after_id": "auto", "before_id": "auto"}, "before_id"),
    ],
)
def test_a_page_that_there_is_not_is_refused(query: dict[str, str], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        anthropic_page(list_models(CONFIG, ANYBODY), query)
    assert (caught.value.status, caught.value.param) == (400, param)
