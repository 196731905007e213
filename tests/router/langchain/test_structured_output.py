"""`with_structured_output`: answers as objects, whatever method asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field

from router.errors import InputError
from router.langchain import CascadeChatModel
from tests.agents import DIRECT, by_model
from tests.behaviours import answer, send_json
from tests.langchain_upstream import Assistant
from tests.upstream import Upstream

MakeModel = Callable[..., CascadeChatModel]
Method = Literal["function_calling", "json_schema", "json_mode"]
PROMPT = "Tell a joke as JSON with 'setup' and 'punchline'. Return nothing other than JSON."
METHODS = ("function_calling", "json_schema", "json_mode")


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="the question")
    punchline: str = Field(description="the answer to it")


class JokeDict(TypedDict):
    """A joke."""

    setup: Annotated[str, ..., "the question"]
    punchline: Annotated[str, ..., "the answer to it"]


@pytest.fixture(autouse=True)
def _helpful(upstream: Upstream) -> None:
    upstream.then(Assistant())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Joke, JokeDict, Joke.model_json_schema()])
async def test_every_method_gives_every_kind_of_object(
    make_model: MakeModel, method: Method, schema: Any
) -> None:
    model = make_model().with_structured_output(schema, method=method)
    found = await model.ainvoke(PROMPT)
    streamed = [piece async for piece in model.astream(PROMPT)]
    for one in (found, streamed[-1], model.invoke(PROMPT)):
        assert isinstance(one, Joke if schema is Joke else dict)
        assert (dict(one)).keys() == {"setup", "punchline"}


@pytest.mark.parametrize("method", METHODS)
async def test_the_raw_message_may_come_beside(make_model: MakeModel, method: Method) -> None:
    model = make_model().with_structured_output(Joke, method=method, include_raw=True)
    found = await model.ainvoke(PROMPT)
    assert found.keys() == {"raw", "parsed", "parsing_error"}
    assert isinstance(found["parsed"], Joke)
    assert found["parsing_error"] is None
    assert found["raw"].response_metadata["model_name"] in ("small", "large")


async def test_what_is_asked_for_is_sent(make_model: MakeModel, upstream: Upstream) -> None:
    model = make_model(policy=DIRECT)
    await model.with_structured_output(Joke).ainvoke(PROMPT)
    await model.with_structured_output(Joke, method="json_schema", strict=True).ainvoke(PROMPT)
    await model.with_structured_output(None, method="json_mode", seed=3).ainvoke(PROMPT)
    by_call, by_schema, by_mode = upstream.bodies
    assert by_call["tool_choice"] == {"type": "function", "function": {"name": "Joke"}}
    wanted = by_schema["response_format"]["json_schema"]
    assert (wanted["name"], wanted["strict"]) == ("Joke", True)
    assert wanted["schema"]["required"] == ["setup", "punchline"]
    assert wanted["schema"]["additionalProperties"] is False
    assert (by_mode["response_format"], by_mode["seed"]) == ({"type": "json_object"}, 3)
    for body in upstream.bodies:
        assert not [name for name in body if name.startswith("ls_")]


async def test_a_response_format_may_be_bound_by_hand(
    make_model: MakeModel, upstream: Upstream
) -> None:
    await make_model(policy=DIRECT).bind(response_format=Joke).ainvoke(PROMPT)
    assert upstream.bodies[0]["response_format"]["json_schema"]["name"] == "Joke"


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
async def test_a_draft_of_another_form_is_not_the_answer(
    make_model: MakeModel, upstream: Upstream, method: Method
) -> None:
    upstream.then(by_model(small=answer("A cat walks into a bar."), large=Assistant()))
    model = make_model().with_structured_output(Joke, method=method, include_raw=True)
    found = await model.ainvoke(PROMPT)
    assert isinstance(found["parsed"], Joke)
    assert found["raw"].response_metadata["model_name"] == "large"


@pytest.mark.parametrize("method", METHODS)
async def test_a_refusal_is_an_error_and_not_an_empty_result(
    make_model: MakeModel, upstream: Upstream, method: Method
) -> None:
    said = {"role": "assistant", "content": None, "refusal": "I will not."}
    upstream.then(send_json({"choices": [{"message": said}]}))
    model = make_model(policy=DIRECT)
    with pytest.raises(Exception, match="the model refused to answer"):
        await model.with_structured_output(Joke, method=method).ainvoke(PROMPT)
    with_raw = model.with_structured_output(Joke, method=method, include_raw=True)
    found = with_raw.invoke(PROMPT)
    assert found["parsed"] is None
    assert "refused" in str(found["parsing_error"])
    assert found["raw"].content == "I will not."


async def test_an_answer_that_is_no_json_is_an_error(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(answer("A cat walks into a bar."))
    model = make_model(policy=DIRECT).with_structured_output(Joke, method="json_schema")
    with pytest.raises(OutputParserException):
        await model.ainvoke(PROMPT)


async def test_openais_own_forms_of_a_schema_are_taken(
    make_model: MakeModel, upstream: Upstream
) -> None:
    schema = {"type": "object", "properties": {"setup": {"type": "string"}}}
    named = {"name": "joke", "schema": schema}
    whole = {"type": "json_schema", "json_schema": named}
    for given in (named, whole):
        model = make_model(policy=DIRECT).with_structured_output(given, method="json_schema")
        assert (await model.ainvoke(PROMPT)).keys() == {"setup"}
    assert [json.dumps(body["response_format"]) for body in upstream.bodies] == [
        json.dumps(whole)
    ] * 2


def test_what_cannot_be_asked_for_is_refused(make_model: MakeModel) -> None:
    model = make_model()
    with pytest.raises(InputError, match="did you mean 'json_mode'"):
        model.with_structured_output(Joke, method="json-mode")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs one"):
        model.with_structured_output(None)
    with pytest.raises(InputError, match="strict"):
        model.with_structured_output(Joke, method="json_mode", strict=True)
    with pytest.raises(InputError, match="title"):
        model.with_structured_output({"type": "object"}, method="json_schema")
