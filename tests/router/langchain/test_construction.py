"""How a `CascadeChatModel` is made, what it shows of itself, and how it is closed."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.load import dumpd
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr

from router.agent.agent import CascadeAgent
from router.config import DomainConfig, ModelConfig, QualityConfig
from router.engine import Engine
from router.errors import ConfigError
from router.langchain import CascadeChatModel
from router.presets import PRESET_ULTRA_FAST
from tests.agents import ACCEPT_ALL, DIRECT
from tests.behaviours import hang
from tests.upstream import Upstream

MakeModel = Callable[..., CascadeChatModel]
PROMPT = "What is 6 times 7?"
KEY = "key-nobody-may-see"


def config(upstream: Upstream, name: str = "small", **more: Any) -> ModelConfig:
    return ModelConfig(name=name, provider="custom", api_base=upstream.url, cost=0.001, **more)


async def test_an_agent_of_ones_own_stays_ones_own(engine: Engine, upstream: Upstream) -> None:
    async with CascadeAgent([config(upstream)], engine=engine) as agent:
        model = CascadeChatModel(agent=agent)
        await model.aclose()
        model.close()
        assert (await model.ainvoke(PROMPT)).response_metadata["model_name"] == "small"
        assert agent.get_analytics().runs == 1


def test_an_agent_and_parts_of_one_contradict_each_other(
    engine: Engine, upstream: Upstream
) -> None:
    agent = CascadeAgent([config(upstream)], engine=engine)
    with pytest.raises(ConfigError, match="models, timeout"):
        CascadeChatModel([config(upstream)], agent=agent, timeout=1.0)


async def test_one_key_serves_the_models_without_one(
    make_model: MakeModel, upstream: Upstream
) -> None:
    models = [config(upstream, "small"), config(upstream, "large", api_key="own")]
    model = make_model(models=models, api_key=SecretStr(KEY))
    await model.ainvoke(PROMPT, model="small")
    await model.ainvoke(PROMPT, model="large")
    sent = [request.headers["authorization"] for request in upstream.requests]
    assert sent == [f"Bearer {KEY}", "Bearer own"]


def test_one_key_is_not_sent_to_two_providers(engine: Engine, upstream: Upstream) -> None:
    models = [config(upstream), {"name": "gpt-4o", "provider": "openai"}]
    with pytest.raises(ConfigError, match="custom and openai") as caught:
        CascadeChatModel(models, engine=engine, api_key=KEY)
    assert KEY not in str(caught.value)


def test_no_key_is_shown(make_model: MakeModel, upstream: Upstream) -> None:
    model = make_model(models=[config(upstream)], api_key=KEY, temperature=0.5)
    shown = [repr(model), str(model), model.model_dump_json(), str(dumpd(model))]
    shown += [str(model._identifying_params), str(model._get_llm_string())]
    assert all(KEY not in text for text in shown)
    assert "0.5" in repr(model)


async def test_a_timeout_is_every_models(make_model: MakeModel, upstream: Upstream) -> None:
    upstream.then(hang())
    domains = DomainConfig(domains={"LEGAL": (config(upstream, "lawyer"),)})
    model = make_model(timeout=0.2, max_retries=0, domains=domains)
    for choice in ({}, {"domain": "LEGAL"}):
        begun = time.perf_counter()
        with pytest.raises(Exception, match="timeout"):
            await model.ainvoke(PROMPT, **choice)
        assert time.perf_counter() - begun < 2.0


def test_a_preset_stands_in_for_models(engine: Engine) -> None:
    names = tuple(model.name for model in PRESET_ULTRA_FAST.models)
    for given in ({"models": PRESET_ULTRA_FAST}, {"preset": PRESET_ULTRA_FAST}):
        model = CascadeChatModel(**given, engine=engine, api_key=KEY)
        assert model.agent.models == names
        assert model.agent.quality == PRESET_ULTRA_FAST.quality


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temprature": 0.5}, "'temprature' is not known; did you mean 'temperature'"),
        ({"model": "gpt-4o"}, "'model' is not known; did you mean 'models'"),
        ({"top_p": 0.5}, "What is for the models goes into 'model_kwargs'"),
        ({"temperature": "hot"}, "'temperature': "),
        ({"max_retries": 99}, "max_retries"),
        ({"models": []}, "'models' is empty"),
        ({"models": [{"name": "m", "provder": "x"}]}, r"models\[0\].provder"),
    ],
)
def test_what_is_wrong_is_named(make_model: MakeModel, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_model(**wrong)


async def test_fields_may_be_set_per_call(make_model: MakeModel, upstream: Upstream) -> None:
    model = make_model(quality=QualityConfig(min_length=2)).configurable_fields(
        temperature=ConfigurableField(id="heat")
    )
    message = await model.ainvoke(PROMPT, config={"configurable": {"heat": 0.7}})
    assert upstream.bodies[0]["temperature"] == 0.7
    assert message.response_metadata["model_name"] == "small"


def test_a_model_that_nobody_closes_leaves_nothing_behind(
    engine: Engine, upstream: Upstream
) -> None:
    before = threading.active_count()
    model = CascadeChatModel([config(upstream)], policy=DIRECT, engine=engine)
    assert model.invoke(PROMPT).content
    assert threading.active_count() > before
    del model
    gc.collect()
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and (
        threading.active_count() > before or upstream.open_connections
    ):
        time.sleep(0.005)
    assert threading.active_count() == before
    assert upstream.open_connections == 0


async def test_a_model_that_was_closed_may_be_used_again(make_model: MakeModel) -> None:
    model = make_model(policy=ACCEPT_ALL)
    for _ in range(2):
        assert (await model.ainvoke(PROMPT)).content
        await model.aclose()


def test_without_langchain_the_import_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['langchain_core'] = None\n"
        "from importlib import util\n"
        "util.find_spec = lambda name, real=util.find_spec: "
        "None if name == 'langchain_core' else real(name)\n"
        "import router.langchain\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode != 0
    said = "router.langchain needs the extra 'langchain': pip install 'sluice-router[langchain]'"
    assert said in ended.stderr
