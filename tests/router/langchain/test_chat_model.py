"""`CascadeChatModel`: who answers, what it says of it, and that LangChain's ways of asking work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from router.config import ModelConfig, QualityConfig
from router.errors import CascadeExhaustedError, InputError, UnknownModelError, UpstreamError
from router.langchain import CascadeChatModel
from tests.agents import DIRECT, REJECT_ALL, by_model
from tests.behaviours import answer, cut, fail, send_json, stream
from tests.upstream import Upstream

MakeModel = Callable[..., CascadeChatModel]
PROMPT = "What is 6 times 7?"
SMALL = "It is small, the answer is 42."
LARGE = "It is large, the answer is 42."
POLICIES = [
    pytest.param({}, SMALL, "small", "accepted", id="accepted"),
    pytest.param({"policy": REJECT_ALL}, LARGE, "large", "escalated", id="escalated"),
    pytest.param({"policy": DIRECT}, LARGE, "large", "direct", id="direct"),
]


class Tokens(BaseCallbackHandler):
    """Collects what callbacks are told token by token."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    full = chunks[0]
    for chunk in chunks[1:]:
        full = full + chunk
    return full


def asked(upstream: Upstream) -> list[str]:
    return [body["model"] for body in upstream.bodies]


def facts(message: AIMessage) -> dict[str, Any]:
    """What is the same in every run."""
    said = dict(message.response_metadata)
    said.pop("request_id")
    return said


@pytest.mark.parametrize(("options", "text", "model_name", "action"), POLICIES)
async def test_a_message_says_who_answered_and_what_it_cost(
    make_model: MakeModel, options: dict[str, Any], text: str, model_name: str, action: str
) -> None:
    message = await make_model(**options).ainvoke(PROMPT)
    said = message.response_metadata
    assert (message.content, said["model_name"], said["action"]) == (text, model_name, action)
    assert said["draft_accepted"] == (action == "accepted")
    assert said["domain"] in ("MATH", "GENERAL")
    assert said["finish_reason"] == "stop"
    assert said["model_provider"] == "sluice"
    assert said["provider"] == "custom"
    assert said["request_id"].startswith("slc_")
    small, large = (12 * 1 + 5 * 2) / 1e6, (12 * 10 + 5 * 20) / 1e6
    paid = {"accepted": small, "escalated": small + large, "direct": large}[action]
    assert said["total_cost"] == pytest.approx(paid)
    assert said["cost_savings_pct"] == pytest.approx(100 * (1 - paid / large))


@pytest.mark.parametrize(("options", "text", "model_name", "action"), POLICIES)
async def test_a_stream_is_one_models_answer_and_adds_up_to_the_message(
    make_model: MakeModel, options: dict[str, Any], text: str, model_name: str, action: str
) -> None:
    model = make_model(**options)
    whole = await model.ainvoke(PROMPT)
    chunks = [chunk async for chunk in model.astream(PROMPT)]
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == text
    full = joined(chunks)
    assert facts(full) == facts(whole)
    assert full.usage_metadata == whole.usage_metadata
    assert chunks[-1].chunk_position == "last"
    assert [chunk.usage_metadata for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


@pytest.mark.parametrize(("options", "text", "model_name", "action"), POLICIES)
def test_the_same_without_an_event_loop(
    make_model: MakeModel, options: dict[str, Any], text: str, model_name: str, action: str
) -> None:
    model = make_model(**options)
    assert model.invoke(PROMPT).content == text
    full = joined(list(model.stream(PROMPT)))
    assert (full.content, full.response_metadata["action"]) == (text, action)


async def test_blocking_calls_work_inside_a_running_loop(make_model: MakeModel) -> None:
    model = make_model()
    assert model.invoke(PROMPT).content == SMALL
    assert joined(list(model.stream(PROMPT))).content == SMALL


async def test_usage_is_the_answering_calls_with_all_its_details(
    make_model: MakeModel, upstream: Upstream
) -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    upstream.then(by_model(small=answer(SMALL), large=answer(LARGE, usage=usage)))
    message = await make_model(policy=REJECT_ALL).ainvoke(PROMPT)
    assert message.usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {"cache_read": 60, "cache_creation": 30},
        "output_token_details": {"reasoning": 40},
    }


async def test_an_unknown_usage_and_cost_are_none(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(answer(SMALL, usage=None))
    message = await make_model().ainvoke(PROMPT)
    assert message.usage_metadata is None
    assert message.response_metadata["total_cost"] is None
    assert "usage" in message.response_metadata["warnings"][0]


def test_usage_is_counted_by_answering_model(make_model: MakeModel) -> None:
    usage = UsageMetadataCallbackHandler()
    model = make_model()
    for chosen in ("small", "large", "large"):
        model.invoke(PROMPT, config={"callbacks": [usage]}, model=chosen)
    list(model.stream(PROMPT, config={"callbacks": [usage]}))
    assert usage.usage_metadata["small"]["total_tokens"] == 2 * 17
    assert usage.usage_metadata["large"]["total_tokens"] == 2 * 17


async def test_callbacks_get_tokens_in_both_modes(make_model: MakeModel) -> None:
    model = make_model(policy=DIRECT)
    for_sync, for_async, for_invoke = Tokens(), Tokens(), Tokens()
    list(model.stream(PROMPT, config={"callbacks": [for_sync]}))
    async for _ in model.astream(PROMPT, config={"callbacks": [for_async]}):
        pass
    streaming = make_model(policy=DIRECT, streaming=True)
    await streaming.ainvoke(PROMPT, config={"callbacks": [for_invoke]})
    for collected in (for_sync, for_async, for_invoke):
        assert "".join(collected.tokens) == LARGE
        assert len(collected.tokens) > 5


async def test_batches_keep_their_order(make_model: MakeModel, upstream: Upstream) -> None:
    def echo(request: Any) -> Any:
        return answer(f"You said {request.body['messages'][-1]['content']}.")(request)

    upstream.then(echo)
    model = make_model()
    prompts = [f"number {n}" for n in range(8)]
    expected = [f"You said {prompt}." for prompt in prompts]
    assert [message.content for message in model.batch(prompts)] == expected
    assert [message.content for message in await model.abatch(prompts)] == expected


async def test_a_chain_of_prompt_model_and_parser(
    make_model: MakeModel, upstream: Upstream
) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
    chain = prompt | make_model() | StrOutputParser()
    assert chain.invoke({"question": PROMPT}) == SMALL
    assert await chain.ainvoke({"question": PROMPT}) == SMALL
    assert "".join([piece async for piece in chain.astream({"question": PROMPT})]) == SMALL
    assert upstream.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
    ]


async def test_parameters_arrive_as_set_and_a_calls_own_win(
    make_model: MakeModel, upstream: Upstream
) -> None:
    model = make_model(
        temperature=0.0, max_tokens=9, stop=["END"], model_kwargs={"seed": 3, "top_p": 0.5}
    )
    await model.ainvoke(PROMPT)
    await model.ainvoke(PROMPT, stop=["STOP"], seed=4, logit_bias={"5": 1})
    first, second = upstream.bodies
    sent = {"temperature": 0.0, "max_tokens": 9, "stop": ["END"], "seed": 3, "top_p": 0.5}
    assert {name: first[name] for name in sent} == sent
    changed = {**sent, "stop": ["STOP"], "seed": 4, "logit_bias": {"5": 1}}
    assert {name: second[name] for name in changed} == changed
    assert first.keys() == {"model", "messages", *sent}, "nothing is invented"


async def test_nothing_is_sent_that_was_not_set(make_model: MakeModel, upstream: Upstream) -> None:
    await make_model(stop=[]).ainvoke([HumanMessage(PROMPT)])
    assert upstream.bodies[0].keys() == {"model", "messages"}


async def test_a_call_may_choose_models_and_domain(
    make_model: MakeModel, upstream: Upstream
) -> None:
    model = make_model()
    message = await model.ainvoke(PROMPT, model="large", domain="LEGAL", user_id="u")
    assert asked(upstream) == ["large"]
    assert message.response_metadata["domain"] == "LEGAL"
    assert upstream.bodies[0].keys() == {"model", "messages"}
    with pytest.raises(UnknownModelError, match="medium"):
        await model.ainvoke(PROMPT, model="medium")


async def test_an_optimistic_stream_passes_the_draft_on_and_keeps_to_it(
    make_model: MakeModel, upstream: Upstream
) -> None:
    model = make_model(quality=QualityConfig(optimistic_above=0.0))
    full = joined([chunk async for chunk in model.astream(PROMPT, stream_policy="optimistic")])
    assert (full.content, full.response_metadata["model_name"]) == (SMALL, "small")
    assert upstream.bodies[0]["stream"] is True


async def test_failing_models_raise_sluices_error(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(fail(500))
    model = make_model()
    with pytest.raises(CascadeExhaustedError):
        await model.ainvoke(PROMPT)
    with pytest.raises(CascadeExhaustedError):
        model.invoke(PROMPT)
    with pytest.raises(CascadeExhaustedError):
        async for _ in model.astream(PROMPT):
            pass
    with pytest.raises(CascadeExhaustedError):
        list(model.stream(PROMPT))


async def test_a_stream_that_breaks_raises_after_what_came(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(cut(stream(["It ", "is ", "large."] * 20)))
    got: list[str] = []

    async def read() -> None:
        async for chunk in make_model(policy=DIRECT).astream(PROMPT):
            got.append(chunk.text)

    with pytest.raises(UpstreamError) as caught:
        await read()
    assert (caught.value.model, caught.value.cause) == ("large", "disconnected")
    assert "".join(got).startswith("It is large.")


async def test_leaving_a_stream_leaves_no_call_behind(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(stream(["more "] * 1000, delay_s=0.01))
    model = make_model(policy=DIRECT)
    async for chunk in model.astream(PROMPT):
        if chunk.text:
            break
    for chunk in model.stream(PROMPT):
        if chunk.text:
            break
    assert await upstream.all_closed()


async def test_a_refusal_is_text_and_marked(make_model: MakeModel, upstream: Upstream) -> None:
    refused = {
        "choices": [{"message": {"role": "assistant", "content": None, "refusal": "I will not."}}]
    }
    upstream.then(send_json(refused))
    model = make_model(policy=DIRECT)
    message = await model.ainvoke(PROMPT)
    streamed = joined([chunk async for chunk in model.astream(PROMPT)])
    for said in (message, streamed):
        assert said.content == "I will not."
        assert said.additional_kwargs["refusal"] == "I will not."


async def test_thinking_goes_back_to_anthropic_and_to_nobody_else(
    make_model: MakeModel, upstream: Upstream
) -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "large",
        "content": [thinking, {"type": "text", "text": LARGE}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    upstream.then(by_model(small=answer(SMALL), large=send_json(said)))
    places = {"api_base": upstream.url, "api_key": "key", "cost": 0.001, "max_tokens": 100}
    model = make_model(
        models=[
            ModelConfig(name="small", provider="custom", **places),
            ModelConfig(name="large", provider="anthropic", **places),
        ]
    )
    first = await model.ainvoke(PROMPT, model="large")
    assert first.content == LARGE
    assert [block["type"] for block in first.content_blocks] == ["reasoning", "text"]
    for chosen in ("small", "large"):
        await model.ainvoke([PROMPT, first, "Are you sure?"], model=chosen)
    _, to_small, to_large = upstream.bodies
    assert to_small["messages"][1] == {"role": "assistant", "content": LARGE}
    assert to_large["messages"][1]["content"] == said["content"]


async def test_an_empty_conversation_is_refused(make_model: MakeModel) -> None:
    with pytest.raises(InputError, match="messages"):
        await make_model().ainvoke([])


def test_traces_name_the_models(make_model: MakeModel) -> None:
    model = make_model(temperature=0.5, max_tokens=9, stop="END")
    assert model._get_ls_params() == {
        "ls_provider": "sluice",
        "ls_model_type": "chat",
        "ls_model_name": "small,large",
        "ls_temperature": 0.5,
        "ls_max_tokens": 9,
        "ls_stop": ["END"],
    }
    assert model._get_ls_params(model="large")["ls_model_name"] == "large"
    assert model._identifying_params["models"] == ["small", "large"]
