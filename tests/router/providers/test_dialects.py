"""What a ModelClient makes of a request in another dialect than its provider's."""

from __future__ import annotations

from typing import Any

import pytest

from router.chat import ChatRequest, Usage
from router.providers.endpoint import resolve_endpoints
from tests.upstream import Upstream, answer, answer_anthropic, fail

from .conftest import PROMPT, Ask, Asker

CACHED = {"cache_control": {"type": "ephemeral"}}
THINKING = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
SAID = {"role": "assistant", "content": "4", "thinking_blocks": THINKING}
MESSAGES = [{"role": "user", "content": "2 + 2?"}, SAID, {"role": "user", "content": "Sure?"}]


@pytest.fixture
def carrier() -> str:
    return "httptools"


async def send(ask: Asker, request: ChatRequest) -> None:
    await ask.client.complete(request, on_delta=ask.keep if ask.streaming else None)


def anthropic(**params: Any) -> ChatRequest:
    return ChatRequest.of(PROMPT, params, dialect="anthropic")


async def test_a_request_of_anthropics_is_put_in_plain_words_of_openais(asking: Ask) -> None:
    request = anthropic(
        max_tokens=9,
        system=[{"type": "text", "text": "Be brief.", **CACHED}],
        stop_sequences=["x"],
        top_k=3,
    )
    with Upstream() as upstream:
        async with asking(upstream) as ask:
            await send(ask, request)
            assert ask.client.dropped(request) == ("cache_control", "top_k")
    (body,) = upstream.bodies
    assert {name: body[name] for name in body if not name.startswith("stream")} == {
        "model": "m-1",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": PROMPT},
        ],
        "max_tokens": 9,
        "stop": ["x"],
    }


async def test_the_limit_has_a_name_of_its_own_at_openai(asking: Ask) -> None:
    async with asking("http://127.0.0.1:9/v1") as ask:
        config = ask.client.config.model_copy(update={"api_base": None})
    (endpoint,) = resolve_endpoints(config, {})
    body = endpoint.wire.body(
        anthropic(max_tokens=9),
        model="m",
        stream=False,
        max_tokens=None,
        ask_logprobs=False,
        defaults={"max_tokens": 5, "seed": 1},
    )
    messages = [{"role": "user", "content": PROMPT}]
    expected = {"model": "m", "messages": messages, "max_completion_tokens": 9, "seed": 1}
    assert body == expected, "and who sets it by either name has set it"


async def test_what_a_translated_answer_brought_along_goes_to_anthropic_only(asking: Ask) -> None:
    request = ChatRequest.of(MESSAGES, {"seed": 7})
    with Upstream() as upstream, Upstream(answer_anthropic()) as claude:
        async with asking(upstream) as ask:
            await send(ask, request)
            assert ask.client.dropped(request) == ("thinking_blocks",)
        async with asking(claude.origin, provider="anthropic", max_tokens=9) as ask:
            await send(ask, request)
            assert ask.client.dropped(request) == ("seed",)
    assert upstream.bodies[0]["messages"][1] == {"role": "assistant", "content": "4"}
    assert upstream.bodies[0]["seed"] == 7
    assert claude.bodies[0]["messages"][1]["content"] == [
        *THINKING,
        {"type": "text", "text": "4"},
    ]


async def test_a_request_in_the_providers_own_dialect_drops_nothing(asking: Ask) -> None:
    plain = ChatRequest.of(PROMPT, {"seed": 7, "nobody_has_heard_of": 1})
    async with asking("http://127.0.0.1:9/v1") as ask:
        assert ask.client.dropped(plain) == ()
    async with asking("http://127.0.0.1:9", provider="anthropic") as ask:
        assert ask.client.dropped(anthropic(top_k=3, nobody_has_heard_of=1)) == ()


async def test_configured_parameters_are_in_the_providers_words(asking: Ask) -> None:
    params = {"stop_sequences": ["x"], "top_k": 3, "max_tokens": 8}
    with Upstream(answer_anthropic()) as upstream:
        async with asking(upstream.origin, provider="anthropic", params=params) as ask:
            await ask()
            await ask({"stop": "y", "max_completion_tokens": 7})
            await send(ask, anthropic(max_tokens=6, top_k=1))
    found = [[body[name] for name in params] for body in upstream.bodies]
    assert found == [[["x"], 3, 8], [["y"], 3, 7], [["x"], 1, 6]]
    assert all("stop" not in body for body in upstream.bodies)


async def test_an_endpoint_of_another_dialect_gets_them_translated(asking: Ask) -> None:
    with Upstream(fail(500)) as first, Upstream(answer_anthropic()) as second:
        place = {"provider": "anthropic", "api_base": second.origin, "api_key": "k"}
        params = {"stop": "x", "max_tokens": 8}
        async with asking(first, params=params, endpoints=[place]) as ask:
            await ask()
    assert (first.bodies[0]["stop"], first.bodies[0]["max_tokens"]) == ("x", 8)
    assert (second.bodies[0]["stop_sequences"], second.bodies[0]["max_tokens"]) == (["x"], 8)


async def test_configured_logprobs_are_obeyed(asking: Ask) -> None:
    with Upstream(answer("Paris.", logprobs=(-0.5,))) as upstream:
        async with asking(upstream, params={"logprobs": True}) as ask:
            result = await ask(ask_logprobs=True)
            assert result.reply["choices"][0]["logprobs"]
        async with asking(upstream, params={"logprobs": False}) as ask:
            assert (await ask(ask_logprobs=True)).logprobs is None


async def test_what_anthropic_keeps_for_an_hour_is_counted_apart(asking: Ask) -> None:
    usage = {
        "input_tokens": 5,
        "output_tokens": 7,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    }
    with Upstream(answer_anthropic(usage=usage)) as upstream:
        async with asking(upstream.origin, provider="anthropic", max_tokens=9) as ask:
            result = await ask()
    assert result.usage == Usage(
        prompt_tokens=95,
        completion_tokens=7,
        cached_tokens=60,
        cache_write_tokens=30,
        long_cache_write_tokens=20,
    )
