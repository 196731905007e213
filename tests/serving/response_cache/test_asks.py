"""Which requests may be answered from a cache, and that no two different ones share an entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chat import ChatRequest, Dialect
from serving.config import CacheConfig
from serving.response_cache.asks import CacheAsk, ask_of, tenant_of

BOTH = CacheConfig(exact=True, semantic=True, max_temperature=1.0)
QUESTION = "What is the capital of France?"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything that an entry is kept under."""

    key_id: str = "k1"
    user: str = ""
    cascade: str = "auto"
    revision: str = "2026.11"
    dialect: Dialect = "openai"
    target_quality: float | None = None
    params: Any = None
    messages: Any = ({"role": "user", "content": QUESTION},)

    def ask(self, config: CacheConfig = BOTH) -> CacheAsk | None:
        request = ChatRequest(
            messages=tuple(self.messages), params=self.params or {}, dialect=self.dialect
        )
        return ask_of(
            request,
            key_id=self.key_id,
            user=self.user,
            cascade=self.cascade,
            revision=self.revision,
            target_quality=self.target_quality,
            config=config,
        )

    def keys(self) -> Any:
        found = self.ask()
        assert found is not None
        return found.keys

    def written(self) -> bytes:
        """All of it in one canonical text: two are equal if and only if these are."""
        return orjson.dumps(
            [
                *(self.key_id, self.user, self.cascade, self.revision, self.dialect),
                *(self.target_quality, self.params or {}, list(self.messages)),
            ],
            option=orjson.OPT_SORT_KEYS,
        )


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 1.0, 0.5]),
    st.sampled_from(["", "a", "b", '"', "\n", "\x00", "[]", "null"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
# Few names and few values, so that draws are often nearly the same.
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.sampled_from(["", "a b c", "a b d", QUESTION, ["a"], None]),
        },
        optional={"name": SCALARS},
    ),
    min_size=1,
    max_size=3,
)
ASKED = st.builds(
    Asked,
    key_id=st.sampled_from(["", "k1", "k2", "k1k2"]),
    user=st.sampled_from(["", "k2", "u"]),
    cascade=st.sampled_from(["auto", "other"]),
    revision=st.sampled_from(["1", "2"]),
    dialect=st.sampled_from(["openai", "anthropic"]),
    target_quality=st.sampled_from([None, 0.9, 1.0]),
    params=st.dictionaries(st.sampled_from(["top_p", "seed", "stop", "new_field"]), VALUES),
    messages=MESSAGES,
)


@given(one=ASKED, two=ASKED)
def test_two_requests_share_an_entry_only_if_they_are_the_same(one: Asked, two: Asked) -> None:
    assert (one.keys().exact == two.keys().exact) == (one.written() == two.written())


@given(one=ASKED, data=st.data())
def test_one_difference_of_any_kind_is_enough(one: Asked, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(Asked.__dataclass_fields__)))
    other = replace(one, **{name: getattr(data.draw(ASKED), name)})
    assert (one.keys().exact == other.keys().exact) == (one.written() == other.written())


@given(one=ASKED, two=ASKED)
def test_two_that_are_worded_alike_differ_in_nothing_else(one: Asked, two: Asked) -> None:
    first, second = one.keys().alike, two.keys().alike
    if first is None or first != second:
        return
    same = replace(two, messages=(*two.messages[:-1], one.messages[-1]))
    assert one.written() == same.written()
    assert one.messages[-1]["content"] == two.messages[-1]["content"]


def _turned(value: Any) -> Any:
    """The same JSON with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: _turned(value[name]) for name in reversed(value)}
    if isinstance(value, list | tuple):
        return [_turned(item) for item in value]
    return value


@given(ASKED)
def test_the_order_of_keys_does_not_matter(one: Asked) -> None:
    turned = replace(one, params=_turned(one.params), messages=_turned(one.messages))
    assert turned.keys() == one.keys()


@pytest.mark.parametrize("name", ["response_format", "output_config"])
def test_the_order_of_an_answers_schema_does_matter(name: str) -> None:
    schema = {"properties": {"reason": {"type": "string"}, "answer": {"type": "string"}}}
    one = Asked(params={name: {"type": "json_schema", "schema": schema}})
    assert one.keys() != replace(one, params=_turned(one.params)).keys()
    assert one.keys() != Asked().keys()


@pytest.mark.parametrize(
    "label",
    [
        {"metadata": {"run": "7"}},
        {"store": True},
        {"user": "anna"},
        {"stream_options": {"include_usage": True}},
        {"service_tier": "flex"},
        {"prompt_cache_key": "x"},
    ],
)
def test_labels_do_not_matter(label: dict[str, Any]) -> None:
    assert Asked(params={"seed": 1, **label}).keys() == Asked(params={"seed": 1}).keys()


def test_prompts_worded_alike_share_one_key_and_not_the_other() -> None:
    alike = ({"role": "user", "content": "hi! what's the capital of france"},)
    one, two = Asked().keys(), Asked(messages=alike).keys()
    assert one.alike is not None
    assert one.alike == two.alike
    assert len({one.exact, two.exact, one.alike}) == 3


def test_wording_counts_only_in_the_last_message() -> None:
    later = ({"role": "assistant", "content": "Paris."}, {"role": "user", "content": QUESTION})
    one = Asked(messages=({"role": "user", "content": "Tell me one thing?"}, *later))
    two = Asked(messages=({"role": "user", "content": "tell me one thing"}, *later))
    assert one.keys().alike != two.keys().alike


def test_a_text_part_is_read_as_text() -> None:
    part = {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}
    one = Asked(messages=({"role": "user", "content": [part]},))
    two = Asked(messages=({"role": "user", "content": [{**part, "text": QUESTION.lower()}]},))
    assert one.keys().alike is not None
    assert one.keys().alike == two.keys().alike
    plain = Asked(messages=({"role": "user", "content": [{"type": "text", "text": QUESTION}]},))
    assert one.keys().alike != plain.keys().alike


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": QUESTION},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": QUESTION},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": None}]},
        {"role": "user", "content": None},
    ],
)
def test_only_a_users_text_is_looked_at_for_its_wording(message: dict[str, Any]) -> None:
    found = Asked(messages=(message,)).ask()
    assert found is not None
    assert (found.keys.alike, found.text, found.wording) == (None, None, None)


def test_wording_is_not_looked_at_unless_asked_for() -> None:
    found = Asked().ask(CacheConfig(exact=True, max_temperature=1.0))
    assert found is not None
    assert found.keys.alike is None
    assert found.keys.exact == Asked().keys().exact


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
        {"mcp_servers": [{"url": "https://x"}]},
        {"web_search_options": {"search_context_size": "low"}},
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"modalities": ["text", "audio"]},
        {"audio": {"voice": "a"}},
        {"temperature": 1.01},
        {"temperature": "cold"},
        {"temperature": True},
        {"temperature": float("nan")},
        {"stop": "\ud83d"},
        {"seed": 2**70},
    ],
)
def test_some_requests_are_never_answered_from_a_cache(params: dict[str, Any]) -> None:
    assert Asked(params=params).ask() is None


@pytest.mark.parametrize(
    "message",
    [
        {"role": "tool", "content": "4", "tool_call_id": "c"},
        {"role": "function", "content": "4", "name": "f"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f"}},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
    ],
)
def test_a_conversation_with_calls_of_tools_is_not_cached(message: dict[str, Any]) -> None:
    assert Asked(messages=(message, {"role": "user", "content": QUESTION})).ask() is None


def test_what_asks_for_nothing_keeps_no_request_out() -> None:
    params = {"tools": [], "logprobs": False, "n": 1, "modalities": ["text"], "top_logprobs": 0}
    assert Asked(params=params).ask() is not None


def test_sampling_above_the_temperature_is_never_cached_whatever_the_seed() -> None:
    config = CacheConfig(exact=True, max_temperature=0.3)
    assert Asked(params={"temperature": 0.3}).ask(config) is not None
    assert Asked(params={"temperature": 0}).ask(config) is not None
    assert Asked(params={"temperature": 0.31}).ask(config) is None
    assert Asked(params={"temperature": 0.31, "seed": 7}).ask(config) is None


def test_a_request_without_a_temperature_is_sampled_at_the_providers() -> None:
    assert Asked().ask(CacheConfig(exact=True, max_temperature=0.99)) is None
    assert Asked().ask(CacheConfig(exact=True, max_temperature=1.0)) is not None


def test_without_either_cache_nothing_is_looked_up() -> None:
    assert Asked(params={"temperature": 0}).ask(CacheConfig()) is None


@given(st.text())
def test_a_tenant_has_a_name_of_its_own_that_is_safe_anywhere(key_id: str) -> None:
    assert set(tenant_of(key_id)) <= set("0123456789abcdef")
    assert (tenant_of(key_id) == tenant_of("k1")) == (key_id == "k1")
