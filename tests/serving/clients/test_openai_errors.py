"""OpenAI's Python client raises the right error, retries what it should, and finds its id."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.behaviours import answer, fail, hang
from tests.serving.clients.running_gateway import RunningGateway
from tests.upstream import Upstream

ASK: list[Any] = [{"role": "user", "content": "How warm is it in Zürich?"}]
Ask = Callable[..., Any]


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def ask(openai_client: openai.OpenAI, request: pytest.FixtureRequest) -> Ask:
    """A request of the client, streamed or not: errors before the start are the same."""

    def create(model: str = "small", **more: Any) -> Any:
        given = {"messages": ASK, "stream": request.param, **more}
        return openai_client.chat.completions.create(model=model, **given)

    return create


def told(caught: Any, status: int, code: str) -> openai.APIStatusError:
    error: openai.APIStatusError = caught.value
    assert (error.status_code, error.code) == (status, code), error.message
    assert error.request_id is not None
    assert error.request_id.startswith("slc_")
    assert error.response.headers["x-sluice-request-id"] == error.request_id
    return error


@pytest.mark.parametrize("key", ["", "slc-nonsense"])
def test_a_key_that_does_not_open(gateway: RunningGateway, key: str) -> None:
    with (
        openai.OpenAI(base_url=gateway.url, api_key=key or "x", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="small", messages=ASK)
    told(caught, 401, "invalid_api_key")


def test_a_wrong_field_is_named(ask: Ask) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(messages=[{"role": "user", "content": 7}])
    assert told(caught, 400, "invalid_value").param == "messages[0].content"


def test_a_model_that_there_is_not(ask: Ask) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask("gpt-99")
    error = told(caught, 404, "model_not_found")
    assert (error.param, error.type) == ("model", "invalid_request_error")


@pytest.mark.parametrize("settings", [{"models": ("large",)}, {"models": ()}])
def test_a_model_that_the_key_may_not_ask(
    gateway: RunningGateway, upstream: Upstream, settings: dict[str, Any]
) -> None:
    key = gateway.new_key(**settings)
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as client:
        assert "small" not in [model.id for model in client.models.list()]
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="small", messages=ASK)
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="sluice-encoder", input="Hi?")
    told(caught, 404, "model_not_found")
    assert upstream.requests == []


def test_a_provider_that_fails(ask: Ask, upstream: Upstream, frail: str) -> None:
    upstream.then(fail(500))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(frail)
    error = told(caught, 502, "upstream_failed")
    assert frail in error.message
    assert "500" in error.message


def test_a_provider_that_is_not_there(ask: Ask) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask("unreachable")
    told(caught, 502, "upstream_failed")


def test_what_a_provider_refuses(ask: Ask, upstream: Upstream) -> None:
    upstream.then(fail(400, "invalid_request_error"))
    with pytest.raises(openai.BadRequestError) as caught:
        ask("small")
    told(caught, 400, "upstream_refused")


def test_a_provider_that_fails_at_embeddings(
    openai_client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.then(fail(503))
    with pytest.raises(openai.InternalServerError) as caught:
        openai_client.embeddings.create(model="embed", input="Hi?")
    told(caught, 502, "upstream_failed")
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.embeddings.create(model="sluice-encoder", input="Hi?", dimensions=3)
    assert told(refused, 400, "invalid_value").param == "dimensions"
    with pytest.raises(openai.BadRequestError) as unread:
        openai_client.embeddings.create(model="sluice-encoder", input=[1, 2, 3])
    told(unread, 400, "wrong_type")


def test_the_client_retries_what_failed_at_the_provider(
    gateway: RunningGateway, key: str, upstream: Upstream, frail: str
) -> None:
    upstream.then(fail(500), answer("It is 42."))
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=1) as client:
        found = client.chat.completions.create(model=frail, messages=ASK)
    assert found.choices[0].message.content == "It is 42."
    assert len(upstream.requests) == 2


def test_a_rate_limit_and_the_clients_patience(gateway: RunningGateway, upstream: Upstream) -> None:
    upstream.then(answer("It is 42."))
    key = gateway.new_key(requests_per_minute=60)
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as client:
        for _ in range(60):
            client.embeddings.create(model="sluice-encoder", input="Hi?")
        with pytest.raises(openai.RateLimitError) as caught:
            _embed_until_refused(client)
    error = told(caught, 429, "rate_limit_exceeded")
    assert 1 <= int(error.response.headers["retry-after"]) <= 2
    start = time.monotonic()
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=2) as client:
        found = client.chat.completions.create(model="small", messages=ASK)
    assert found.choices[0].message.content == "It is 42."
    assert time.monotonic() - start > 0.5


def _embed_until_refused(client: openai.OpenAI) -> None:
    for _ in range(30):  # the limit refills while they are asked
        client.embeddings.create(model="sluice-encoder", input="Hi?")


def test_a_budget_that_is_spent(gateway: RunningGateway, upstream: Upstream) -> None:
    key = gateway.new_key(daily_limit=1e-6)
    with (
        openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.chat.completions.create(model="small", messages=ASK)
    error = told(caught, 429, "budget_exceeded")
    assert int(error.response.headers["retry-after"]) >= 1
    assert upstream.requests == []


def test_the_clients_own_time_limit(
    gateway: RunningGateway, key: str, upstream: Upstream, frail: str
) -> None:
    upstream.then(hang())
    with (
        openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0, timeout=0.3) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(model=frail, messages=ASK)


def test_embeddings_whose_client_leaves_are_ended_and_recorded(
    gateway: RunningGateway, key: str, upstream: Upstream
) -> None:
    upstream.then(hang())
    with (
        openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0, timeout=0.3) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.embeddings.create(model="embed", input="Hi?", user="somebody-who-leaves")
    deadline = time.monotonic() + 3.0
    while not (found := gateway.outcomes_of("somebody-who-leaves")):
        assert time.monotonic() < deadline, "nothing was recorded"
        time.sleep(0.01)
    (outcome,) = found
    assert (outcome.status, outcome.http_status) == ("cancelled", 499)
    assert outcome.error_code == "client_left"
