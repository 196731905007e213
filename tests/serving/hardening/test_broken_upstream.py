"""Providers that are broken in every way: the client gets an answer that can be read, or an error;
either is recorded once and paid once; and the next request does not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import select

from router.chat import Dialect
from router.config import TimeoutConfig
from router.engine import Engine
from router.records.tables import outcomes
from serving.config import GatewayBudget
from tests.agents import model
from tests.behaviours import send, send_events
from tests.serving.hardening.broken_replies import SCRIPTS, Scripts
from tests.serving.hardening.examples import examples
from tests.serving.hardening.hardened_gateway import (
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.serving.hardening.judging import check_reply
from tests.upstream import Upstream

PATHS: dict[Dialect, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
FAILED = frozenset({502, 504})
SAID = "All is well again."
GOOD = play_provider(SAID)


class Rig:
    """A gateway, and the provider that is told how to behave."""

    def __init__(self, gateway: HardenedClient, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.seen: Counter[str] = Counter()

    def ask(self, dialect: Dialect, name: str, *, streamed: bool) -> httpx.Response:
        body: dict[str, Any] = {
            "model": name,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": streamed,
        }
        if streamed and dialect == "openai":
            body["stream_options"] = {"include_usage": True}
        return self.gateway.http.post(PATHS[dialect], json=body)

    def check_broken(self, dialect: Dialect, name: str, *, streamed: bool) -> str:
        """Ask, and hold the reply against what was recorded."""
        reply = self.ask(dialect, name, streamed=streamed)
        result = check_reply(reply, dialect, failed=FAILED)
        self.seen[result] += 1
        event(result)
        [kept] = self.kept(reply.headers["x-sluice-request-id"])
        if result in ("answer", "stream"):
            assert (kept["status"], kept["http_status"]) == ("ok", 200)
        else:
            assert kept["status"] == "failed"
            assert kept["http_status"] in (400, 502, 504)
            if reply.status_code != 200:
                assert kept["http_status"] == reply.status_code
        assert 0 <= kept["cost_nano"] <= 10**9  # what usage lies about is bounded
        return result

    def check_good(self, *names: str) -> None:
        """Nothing of what was broken is left for those who come after."""
        self.upstream.then(GOOD)
        for name in names:
            reply = self.ask("openai", name, streamed=False)
            assert reply.status_code == 200, reply.text
            assert reply.json()["choices"][0]["message"]["content"] == SAID

    def kept(self, request_id: str) -> list[Any]:
        query = select(outcomes).where(outcomes.c.request_id == request_id)
        database = self.gateway.live.service.database
        return list(database.run_sync(lambda db: db.execute(query).mappings().all()))


HASTY = TimeoutConfig(first_token_s=0.3, total_s=0.8)


@pytest.fixture(scope="module")
def rig(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("broken")
    with Upstream(GOOD) as upstream:
        claude = {"provider": "anthropic", "api_key": "k"}
        models = (
            model("hasty", upstream.url, timeout=HASTY),
            model("claude-hasty", upstream.origin, timeout=HASTY, **claude),
        )
        with hardened_gateway(
            engine, upstream, folder, models=models, budget=GatewayBudget(daily_limit=1e6)
        ) as gateway:
            rig = Rig(gateway, upstream)
            yield rig
            gateway.check_nothing_is_left()


CASES = {"openai": ("small", "small", "drafts"), "anthropic": ("claude-small", "claude-drafts")}


@examples(150)
@given(script=SCRIPTS["openai"], data=st.data())
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_provider_of_openais_format(
    rig: Rig, dialect: Dialect, script: Scripts, data: st.DataObject
) -> None:
    rig.upstream.then(script)
    name = data.draw(st.sampled_from(CASES["openai"]))
    rig.check_broken(dialect, name, streamed=data.draw(st.booleans()))
    rig.check_good("doubts")  # which asks both models


@examples(150)
@given(script=SCRIPTS["anthropic"], data=st.data())
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_provider_of_anthropics_format(
    rig: Rig, dialect: Dialect, script: Scripts, data: st.DataObject
) -> None:
    rig.upstream.then(script)
    name = data.draw(st.sampled_from(CASES["anthropic"]))
    rig.check_broken(dialect, name, streamed=data.draw(st.booleans()))
    rig.check_good("claude-small", "large")
