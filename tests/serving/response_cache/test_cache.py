"""The cache as the chat endpoint uses it: per cascade, exact or semantic, in memory or in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from router.agent.results import RunResult
from router.chat import ChatRequest
from router.types import Embedding
from serving.config import CacheConfig, GatewayConfig
from serving.gateway.writers import reply_body, stream_writer
from serving.response_cache import CacheAsk, ResponseCache
from serving.response_cache.cache import Shelf
from serving.response_cache.memory_store import MemoryStore
from tests.agents import REJECT_ALL
from tests.upstream import answer, answer_anthropic

from .answers import BOTH, QUESTION, answered, asked, embedding_of, request_of

MODELS = [
    {"name": name, "provider": "custom", "api_base": "http://127.0.0.1:9/v1"}
    for name in ("small", "large", "spare")
]


def never() -> Embedding:
    raise AssertionError("no embedding is needed here")


def cache_of(config: CacheConfig = BOTH, cascade: str = "auto", **more: Any) -> ResponseCache:
    store = MemoryStore(max_entries=config.max_entries, ttl_s=config.ttl_s)
    return ResponseCache({cascade: Shelf(config=config, store=store)}, **more)


def config_of(cache: dict[str, Any], models: Any = MODELS, **more: Any) -> GatewayConfig:
    cascade = {"models": ["small", "large"], "cache": cache, **more.pop("cascade", {})}
    return GatewayConfig.model_validate({"models": models, "cascades": {"auto": cascade}, **more})


def made_from(config: GatewayConfig) -> ResponseCache:
    cache = ResponseCache.from_config(config)
    assert cache is not None
    return cache


def ask_auto(cache: ResponseCache, text: str = QUESTION, **more: Any) -> CacheAsk | None:
    given = {"cascade": "auto", "key_id": "k1", "artifact": "1", **more}
    return cache.ask(request_of(text), **given)


@pytest.fixture(scope="module")
async def result() -> RunResult:
    return await answered(answer("Paris is the capital of France."))


async def test_an_answer_is_given_again_for_the_same_request(result: RunResult) -> None:
    cache = cache_of(clock=lambda: 1234.5)
    assert await cache.find(asked(), never) is None
    assert await cache.keep(asked(), result, request_id="slc_1")
    found = await cache.find(asked(), never)
    assert found is not None
    assert (found.kind, found.request_id, found.kept_at) == ("exact", "slc_1", 1234.5)
    assert found.completion.text == "Paris is the capital of France."
    assert found.verifier_nano is not None
    assert found.verifier_nano > (found.cost_nano or 0) > 0


async def test_an_answer_is_given_again_for_other_words_of_the_same(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    for text in ("what is the capital of france", "What is the capital of France?? "):
        found = await cache.find(asked(text), lambda text=text: embedding_of(text))
        assert found is not None
        assert found.kind == "semantic"
        assert found.completion.text == result.completion.text


async def test_an_embedding_is_made_only_when_an_answer_is_at_hand(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    assert await cache.find(asked("What is the capital of Spain?"), never) is None
    assert await cache.find(asked("Tell me about Polish remover"), never) is None


async def test_capitals_in_the_middle_are_looked_at_before_an_embedding(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked("Where is Polish remover sold?"), result, request_id="slc_1")
    assert await cache.find(asked("Where is polish Remover sold?"), never) is None


async def test_the_threshold_decides_how_near_is_near_enough(result: RunResult) -> None:
    other = "Hi there! What is the capital of France, please?"
    cosine = float(embedding_of(QUESTION) @ embedding_of(other))
    assert 0.5 < cosine < 0.99
    for threshold, hit in ((cosine - 0.01, True), (cosine + 0.01, False)):
        config = BOTH.model_copy(update={"threshold": threshold})
        cache = cache_of(config)
        await cache.keep(asked(config=config), result, request_id="slc_1")
        found = await cache.find(asked(other, config=config), lambda: embedding_of(other))
        assert (found is not None) == hit


async def test_an_embedding_of_another_size_is_no_match(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    assert await cache.find(asked(QUESTION.lower()), lambda: embedding_of(QUESTION)[:8]) is None


async def test_exact_alone_takes_no_other_words(result: RunResult) -> None:
    config = CacheConfig(exact=True)
    cache = cache_of(config)
    await cache.keep(asked(config=config), result, request_id="slc_1")
    assert await cache.find(asked(QUESTION.lower(), config=config), never) is None
    assert await cache.find(asked(config=config), never) is not None


async def test_another_tenant_finds_nothing(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    for text in (QUESTION, QUESTION.lower()):
        assert await cache.find(asked(text, key_id="k2"), never) is None


async def test_what_a_key_left_can_be_forgotten(result: RunResult) -> None:
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    await cache.keep(asked(key_id="k2"), result, request_id="slc_2")
    await cache.forget("k1")
    assert await cache.find(asked(), never) is None
    assert await cache.find(asked(key_id="k2"), never) is not None
    await cache.aclose()
    assert await cache.find(asked(key_id="k2"), never) is None


async def test_half_an_answer_is_not_kept() -> None:
    cache = cache_of()
    half = await answered(answer("Paris is", finish_reason="length"), policy=REJECT_ALL)
    assert not await cache.keep(asked(), half, request_id="slc_1")
    assert await cache.find(asked(), never) is None


async def test_what_cannot_be_kept_is_told(result: RunResult) -> None:
    strange = replace(result.completion, reply={**result.completion.reply, "x": {1}})
    odd = replace(result, completion=strange)
    assert not await cache_of().keep(asked(), odd, request_id="slc_1")


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_cached_answer_is_written_as_the_first_one_was(dialect: Any) -> None:
    given = answer("Paris.") if dialect == "openai" else answer_anthropic("Paris.")
    provider = "custom" if dialect == "openai" else "anthropic"
    result = await answered(given, provider=provider)
    cache = cache_of()
    await cache.keep(asked(), result, request_id="slc_1")
    found = await cache.find(asked(), never)
    assert found is not None
    assert reply_body(found.completion, dialect) == reply_body(result.completion, dialect)
    first, again = stream_writer(dialect, {}), stream_writer(dialect, {})
    assert again.whole(found.completion) == first.whole(result.completion)
    assert again.end(found.completion, {}) == first.end(result.completion, {})


def test_the_cache_is_off_unless_a_cascade_says_otherwise() -> None:
    assert ResponseCache.from_config(GatewayConfig.model_validate({"models": MODELS})) is None
    assert ResponseCache.from_config(config_of({"max_entries": 5})) is None


def test_other_cascades_and_callers_who_refuse_have_none() -> None:
    cache = made_from(config_of({"exact": True}))
    assert ask_auto(cache) is not None
    assert ask_auto(cache, cascade="other") is None
    assert ask_auto(cache, cascade="") is None
    assert ask_auto(cache, no_cache=True) is None


def test_other_settings_or_another_artifact_have_other_answers() -> None:
    on = {"exact": True}
    spare = [{**MODELS[0], "fallbacks": ["spare"]}, MODELS[1]]
    cache = made_from(config_of(on))
    asks = [
        ask_auto(cache),
        ask_auto(cache, artifact="2"),
        ask_auto(cache, user="anna"),
        ask_auto(cache, target_quality=0.9),
        *(
            ask_auto(made_from(config))
            for config in (
                config_of(on, [{**one, "params": {"top_p": 0.5}} for one in MODELS]),
                config_of(on, [*spare, MODELS[2]]),
                config_of(on, [*spare, {**MODELS[2], "model": "other"}]),
                config_of(on, cascade={"models": ["large", "small"]}),
                config_of(on, cascade={"quality": {"target_quality": 0.9}}),
            )
        ),
    ]
    assert len({ask.keys.exact for ask in asks if ask is not None}) == len(asks)
    assert ask_auto(made_from(config_of(on))) == asks[0]


def test_a_key_of_a_provider_and_the_cache_itself_change_nothing() -> None:
    keyed = [[{**one, "api_key": f"sk-{key}"} for one in MODELS] for key in "ab"]
    one = made_from(config_of({"exact": True}, keyed[0]))
    two = made_from(config_of({"exact": True, "ttl_s": 5.0}, keyed[1]))
    assert ask_auto(one) == ask_auto(two)


@pytest.mark.parametrize(
    ("small", "large", "cached"),
    [
        ({}, {}, False),
        ({"temperature": 0}, {}, False),
        ({"temperature": 0}, {"temperature": 0.2}, True),
        ({"temperature": 0}, {"temperature": 0.4}, False),
        ({"temperature": 0}, {"temperature": "low"}, False),
    ],
)
def test_a_request_without_a_temperature_has_the_one_that_is_configured(
    small: dict[str, Any], large: dict[str, Any], cached: bool
) -> None:
    models = [{**MODELS[0], "params": small}, {**MODELS[1], "params": large}]
    cache = made_from(config_of({"exact": True}, models))
    request = ChatRequest.of(QUESTION)
    found = cache.ask(request, cascade="auto", key_id="k1", artifact="1")
    assert (found is not None) == cached


@pytest.fixture
async def replicas(redis_url: str, prefix: str) -> AsyncIterator[list[ResponseCache]]:
    config = config_of(
        {"exact": True, "semantic": True, "threshold": 0.9},
        redis={"url": redis_url, "prefix": prefix},
    )
    caches = [made_from(config) for _ in range(2)]
    yield caches
    for cache in caches:
        await cache.aclose()


async def test_replicas_share_answers(replicas: list[ResponseCache], result: RunResult) -> None:
    one, two = replicas
    asks = [ask_auto(cache) for cache in replicas]
    assert asks[0] is not None
    assert asks[0] == asks[1]
    assert await one.keep(asks[0], result, request_id="slc_1")
    found = await two.find(asks[0], never)
    assert found is not None
    assert found.completion.reply == result.completion.reply
    other = ask_auto(two, QUESTION.lower())
    assert other is not None
    found = await two.find(other, lambda: embedding_of(QUESTION.lower()))
    assert found is not None
    assert found.kind == "semantic"
    stranger = ask_auto(two, key_id="k2")
    assert stranger is not None
    assert await two.find(stranger, never) is None
    await one.forget("k1")
    assert await two.find(asks[0], never) is None


async def test_a_cache_whose_redis_is_away_finds_nothing(result: RunResult) -> None:
    cache = made_from(config_of({"exact": True}, redis={"url": "redis://127.0.0.1:1/0"}))
    ask = ask_auto(cache)
    assert ask is not None
    assert await cache.keep(ask, result, request_id="slc_1")
    assert await cache.find(ask, never) is None
    await cache.aclose()
