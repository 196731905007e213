"""What a ModelClient sends, what it makes of the reply, and whom it asks next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from router.chat import Usage
from router.errors import InputError, UpstreamError
from router.providers.circuit import MAX_FAILURES
from tests.upstream import (
    Upstream,
    answer,
    answer_anthropic,
    fail,
    refused_url,
    send_events,
    send_json,
    stream,
)

from .conftest import KEY, PROMPT, Ask

CALLS = [
    {
        "id": f"call_{city}",
        "type": "function",
        "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'},
    }
    for city in ("Paris", "Rome")
]


async def test_an_answer(asking: Ask) -> None:
    with Upstream(answer("Paris it is.", model="m-1-2024", logprobs=(-0.1, -0.2))) as upstream:
        async with asking(upstream) as ask:
            result = await ask(ask_logprobs=True)
    assert (result.text, result.model, result.provider) == ("Paris it is.", "m-1", "openai")
    assert result.finish_reason == "stop"
    assert result.logprobs == (-0.1, -0.2)
    assert result.usage == Usage(prompt_tokens=12, completion_tokens=5)
    assert (result.input_tokens, result.output_tokens) == (12, 5)
    assert result.reply["model"] == "m-1-2024"
    assert result.latency_ms > 0
    (attempt,) = result.attempts
    assert (attempt.model, attempt.provider, attempt.status) == ("m-1", "openai", 200)
    assert attempt.endpoint == upstream.origin
    assert attempt.error is None
    assert (result.first_token_ms is not None) is ask.streaming
    assert "".join(delta.content for delta in ask.deltas) == "Paris it is." * ask.streaming


async def test_what_the_caller_sets_arrives_and_nothing_is_invented(asking: Ask) -> None:
    params = {
        "temperature": 0.3,
        "stop": ["\n"],
        "seed": 7,
        "response_format": {"type": "json_object"},
        "logit_bias": {"50256": -100},
        "reasoning_effort": "low",
        "nobody_has_heard_of": {"this": [1, None]},
    }
    with Upstream() as upstream:
        async with asking(upstream, headers={"X-Team": "blue"}) as ask:
            await ask(params)
    (request,) = upstream.requests
    streams = {"stream": True, "stream_options": {"include_usage": True}} if ask.streaming else {}
    messages = [{"role": "user", "content": PROMPT}]
    assert request.body == {"model": "m-1", "messages": messages, **params, **streams}
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-team"] == "blue"


async def test_configured_params_are_defaults(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream, model="real-name", params={"top_p": 0.5, "seed": 1}) as ask:
            await ask({"seed": 2, "stream_options": {"include_obfuscation": False}})
    (body,) = upstream.bodies
    assert (body["model"], body["top_p"], body["seed"]) == ("real-name", 0.5, 2)
    # A draft may be asked for whole though its caller streams; OpenAI refuses the options then.
    options = {"include_obfuscation": False, "include_usage": True}
    assert body.get("stream_options") == (options if ask.streaming else None)


async def test_mistral_is_not_asked_for_what_it_refuses(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream, provider="mistral") as ask:
            await ask()
    assert "stream_options" not in upstream.bodies[0]
    assert upstream.requests[0].streams is ask.streaming


async def test_tool_calls(asking: Ask) -> None:
    with Upstream(answer(None, tool_calls=CALLS)) as upstream:
        async with asking(upstream) as ask:
            result = await ask()
    assert result.text == ""
    assert result.finish_reason == "tool_calls"
    assert list(result.tool_calls) == CALLS
    if ask.streaming:
        assert [call["index"] for delta in ask.deltas for call in delta.tool_calls] == [
            *(0, 0, 0),
            *(1, 1, 1),
        ]


async def test_a_refusal_is_an_answer(asking: Ask) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    with Upstream(send_json({"choices": [{"message": message, "finish_reason": "stop"}]})) as up:
        async with asking(up) as ask:
            assert (await ask()).text == "I will not."


async def test_parts_of_content_are_joined(asking: Ask) -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Par"}]
    message = {"content": [*parts, {"type": "text", "text": "is."}]}
    with Upstream(send_json({"choices": [{"message": message}]})) as upstream:
        async with asking(upstream) as ask:
            result = await ask()
    assert result.text == "Paris."
    said = result.reply["choices"][0]["message"]
    assert said["content"] == "Paris."
    assert said["provider_content"] == message["content"]


async def test_the_cost_is_the_price_of_the_usage(asking: Ask) -> None:
    prices = {"input_cost": 1.0, "output_cost": 2.0, "cached_input_cost": 0.5}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_cache_hit_tokens": 60}
    with Upstream(answer("Paris.", usage=usage)) as upstream:
        async with asking(upstream, **prices) as ask:
            result = await ask()
    assert result.cost_usd == pytest.approx(84e-6, abs=1e-12)
    assert result.usage == Usage(prompt_tokens=100, completion_tokens=7, cached_tokens=60)


async def test_a_whole_reply_to_a_stream_is_one_delta_and_the_other_way_round(asking: Ask) -> None:
    message = {"role": "assistant", "content": "Paris."}
    whole = send_json({"choices": [{"message": message, "finish_reason": "stop"}]})
    parts = send_events({"choices": [{"delta": {"content": "Paris."}, "finish_reason": "stop"}]})
    for behaviour in (whole, parts):
        with Upstream(behaviour) as upstream:
            async with asking(upstream) as ask:
                assert (await ask()).text == "Paris."
                assert [delta.content for delta in ask.deltas] == ["Paris."] * ask.streaming


async def test_deltas_come_as_they_are_made(asking: Ask) -> None:
    with Upstream(stream(["one ", "two ", "three"], delay_s=0.03)) as upstream:
        async with asking(upstream) as ask:
            loop = asyncio.get_running_loop()
            times: list[float] = []

            async def note(_: Any) -> None:
                times.append(loop.time())

            result = await ask(on_delta=note)
    assert result.text == "one two three"
    assert times[-1] - times[0] > 0.08
    assert result.first_token_ms is not None
    assert result.first_token_ms < result.latency_ms - 50


async def test_connections_are_used_again(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream) as ask:
            for _ in range(4):
                await ask()
                assert upstream.open_connections == 1


async def test_a_stream_that_stays_open_after_its_end_is_not_waited_for(asking: Ask) -> None:
    done = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'
    with Upstream(send_events(done, b"", done=False, delay_s=30)) as upstream:
        async with asking(upstream) as ask:
            result = await ask()
            assert result.text == "Hi"
            assert result.latency_ms < 1_000
            assert await upstream.all_closed()


class TestLogprobs:
    async def test_those_nobody_asked_for_are_not_passed_on(self, asking: Ask) -> None:
        with Upstream(answer("Paris.", logprobs=(-0.5,))) as upstream:
            async with asking(upstream) as ask:
                result = await ask(ask_logprobs=True)
        assert upstream.bodies[0]["logprobs"] is True
        assert result.logprobs == (-0.5,)
        assert "logprobs" not in result.reply["choices"][0]
        for delta in ask.deltas:
            assert all("logprobs" not in choice for choice in delta.chunk["choices"])

    async def test_those_that_the_caller_asked_for_are(self, asking: Ask) -> None:
        with Upstream(answer("Paris.", logprobs=(-0.5,))) as upstream:
            async with asking(upstream) as ask:
                result = await ask({"logprobs": True, "top_logprobs": 2}, ask_logprobs=True)
        assert result.logprobs == (-0.5,)
        assert result.reply["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.5

    async def test_a_caller_who_wants_none_is_obeyed(self, asking: Ask) -> None:
        with Upstream(answer("Paris.", logprobs=(-0.5,))) as upstream:
            async with asking(upstream) as ask:
                assert (await ask({"logprobs": False}, ask_logprobs=True)).logprobs is None
        assert upstream.bodies[0]["logprobs"] is False

    @pytest.mark.parametrize(
        "config",
        [{"name": "o3-mini"}, {"model": "gpt-5-nano"}, {"provider": "groq"}, {"logprobs": False}],
    )
    async def test_they_are_not_asked_where_there_are_none(
        self, asking: Ask, config: dict[str, Any]
    ) -> None:
        with Upstream() as upstream:
            async with asking(upstream, **config) as ask:
                assert not ask.client.gives_logprobs
                assert (await ask(ask_logprobs=True)).logprobs is None
        assert "logprobs" not in upstream.bodies[0]

    @pytest.mark.parametrize("content", [None, [], [{}], [{"logprob": "x"}], [7], "x"])
    async def test_malformed_ones_are_none(self, asking: Ask, content: Any) -> None:
        choice = {"message": {"content": "Hi"}, "logprobs": {"content": content}}
        with Upstream(send_json({"choices": [choice]})) as upstream:
            async with asking(upstream) as ask:
                assert (await ask(ask_logprobs=True)).logprobs is None

    async def test_a_provider_that_refuses_them_is_not_asked_again(self, asking: Ask) -> None:
        refusal = fail(400, "unsupported_parameter")
        with Upstream(refusal, answer("Paris.")) as upstream:
            async with asking(upstream) as ask:
                assert ask.client.gives_logprobs
                first = await ask(ask_logprobs=True)
                assert not ask.client.gives_logprobs
                await ask(ask_logprobs=True)
        assert first.text == "Paris."
        assert ["logprobs" in body for body in upstream.bodies] == [True, False, False]
        assert [attempt.status for attempt in first.attempts] == [400, 200]

    async def test_a_refusal_for_another_reason_does_not_count(self, asking: Ask) -> None:
        with Upstream(fail(400, "context_length_exceeded")) as upstream:
            async with asking(upstream) as ask:
                assert (await ask.fail(ask_logprobs=True)).cause == "bad_request"
                assert ask.client.gives_logprobs
        assert len(upstream.requests) == 2


class TestEndpoints:
    async def test_the_next_one_is_asked_with_its_own_name_and_key(self, asking: Ask) -> None:
        with Upstream(fail(500)) as first, Upstream(answer_anthropic("Paris.")) as second:
            place = {"provider": "anthropic", "api_base": second.origin, "model": "claude"}
            async with asking(
                first, endpoints=[{**place, "api_key": "other"}], max_tokens=9
            ) as ask:
                result = await ask()
        assert (result.text, result.model, result.provider) == ("Paris.", "m-1", "anthropic")
        assert [attempt.provider for attempt in result.attempts] == ["openai", "anthropic"]
        assert [attempt.endpoint for attempt in result.attempts] == [first.origin, second.origin]
        (request,) = second.requests
        assert request.path == "/v1/messages"
        assert (request.body["model"], request.body["max_tokens"]) == ("claude", 9)
        assert request.headers["x-api-key"] == "other"
        assert KEY not in str(request)
        assert result.native is not None

    async def test_when_all_fail_every_call_is_on_the_error(self, asking: Ask) -> None:
        with Upstream(fail(503, retry_after_ms="1")) as first:
            places = [{"api_base": refused_url()}, {"api_base": first.url}]
            async with asking(first, endpoints=places, max_retries=1) as ask:
                error = await ask.fail()
        causes = [call.error.cause for call in error.calls]
        assert causes == ["server", "server", "connect", "connect", "server", "server"]
        assert (error.cause, error.status) == ("server", 503)
        assert "6 calls" in str(error)

    async def test_the_error_names_every_endpoint(self, asking: Ask) -> None:
        away = refused_url()
        with Upstream(fail(401)) as first:
            async with asking(first, endpoints=[{"api_base": away}]) as ask:
                error = await ask.fail()
        assert str(error) == (
            f"m-1 at openai ({first.origin}; auth: status 401; check the key and what it may "
            f"do), openai ({away.removesuffix('/v1')}; connect: connection refused) (2 calls)"
        )
        assert (error.cause, error.status) == ("connect", None)

    async def test_what_cannot_succeed_is_not_tried_twice(self, asking: Ask) -> None:
        with Upstream(fail(401)) as upstream:
            async with asking(upstream, max_retries=5) as ask:
                await ask.fail()
        assert len(upstream.requests) == 1

    async def test_one_that_keeps_failing_is_left_alone(self, asking: Ask) -> None:
        with Upstream(fail(500)) as upstream:
            async with asking(upstream) as ask:
                for _ in range(MAX_FAILURES):
                    assert (await ask.fail()).cause == "server"
                error = await ask.fail()
                assert error.cause == "circuit_open"
                assert error.retry_after_s == pytest.approx(10, abs=1)
        assert len(upstream.requests) == MAX_FAILURES

    async def test_the_callers_mistakes_do_not_open_the_circuit(self, asking: Ask) -> None:
        with Upstream(fail(400)) as upstream:
            async with asking(upstream) as ask:
                for _ in range(MAX_FAILURES + 2):
                    assert (await ask.fail()).cause == "bad_request"

    async def test_a_cancelled_probe_leaves_room_for_the_next(self, asking: Ask) -> None:
        with Upstream(*[fail(500)] * MAX_FAILURES, stream(["a"] * 9, delay_s=1), answer()) as up:
            async with asking(up) as ask:
                for _ in range(MAX_FAILURES):
                    await ask.fail()
                breaker = ask.client._lanes[0].breaker
                breaker._open_until = 0.0  # the cool-down is over
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await ask(on_delta=ask.keep)
                assert (await ask()).text == "Hello."
                assert breaker.wait_s(0) == 0


async def test_what_json_cannot_hold_is_the_callers_mistake(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream) as ask:
            with pytest.raises(InputError) as caught:
                await ask({"metadata": {"secret": object()}})
            assert "secret" not in str(caught.value)
    assert not upstream.requests


async def test_an_error_of_the_receiver_is_its_own(asking: Ask) -> None:
    for error in (KeyError("mine"), TimeoutError("mine")):
        with Upstream(stream(["one", "two"], delay_s=0.2)) as upstream:
            async with asking(upstream) as ask:

                async def break_off(_: Any, error: Exception = error) -> None:
                    raise error

                with pytest.raises(type(error)) as caught:
                    await ask(on_delta=break_off)
                assert caught.value is error
                assert await upstream.all_closed()


async def test_a_large_request_is_sent_whole(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream) as ask:
            await ask({"image": "x" * 3_000_000})
    assert len(upstream.bodies[0]["image"]) == 3_000_000


async def test_many_at_once(asking: Ask) -> None:
    with Upstream(stream(["a", "b"], delay_s=0.01)) as upstream:
        async with asking(upstream) as ask:
            results = await asyncio.gather(*(ask() for _ in range(150)))
            assert {result.text for result in results} == {"ab"}


def test_an_error_has_no_calls_until_it_is_told() -> None:
    assert UpstreamError("x", model="m", provider="p").calls == ()


async def test_a_stream_that_breaks_after_the_role_alone_is_tried_again(asking: Ask) -> None:
    role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    begun = send_events({**chunk, "choices": [role]}, done=False, end="cut")
    with Upstream(begun, answer("Whole.")) as upstream:
        async with asking(upstream, max_retries=1) as ask:
            completion = await ask()
    assert completion.text == "Whole."
    assert [one.error is None for one in completion.attempts] == [False, True]
