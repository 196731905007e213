"""Bodies of chat requests, nearly right: what clients send, with things in it that they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.serving.hardening.chat_samples import (
    ANTHROPIC_FIELDS,
    ANTHROPIC_MESSAGES,
    OPENAI_FIELDS,
    OPENAI_MESSAGES,
)
from tests.serving.hardening.hardened_gateway import CASCADES, MODELS
from tests.serving.hardening.values import ANYTHING, JUNK, TEXT, spoilt

__all__ = ["ANTHROPIC_BODIES", "OPENAI_BODIES"]

_KNOWN = ("auto", *CASCADES, *MODELS, "claude-small", "small")
_OTHERS = st.sampled_from(("embed", "sluice-encoder", "nobody", " ", "")) | TEXT
_NAMES = st.one_of(*[st.sampled_from(_KNOWN)] * 9, _OTHERS)
_FORBIDDEN = ("api_base", "api_key", "base_url")


def _bodies(messages: Sequence[Any], fields: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[Any]:
    message = st.sampled_from(messages)
    whole = st.builds(
        lambda body, more: {**more, **body},
        st.fixed_dictionaries(
            {
                "model": _NAMES,
                "messages": st.lists(st.one_of(message, message, spoilt(message)), max_size=4),
                "max_tokens": st.just(100),
            },
            optional={"stream": st.sampled_from([True, True, False, False, None])},
        ),
        _some_of(fields),
    )
    return st.one_of(whole, whole, whole, spoilt(whole), ANYTHING)


def _some_of(fields: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A few of the fields, as nearly all requests have few; some with what is not for them."""
    values: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(_FORBIDDEN, TEXT)
    for name, known in fields.items():
        fits = st.sampled_from(known)
        values[name] = st.one_of(fits, fits, fits, spoilt(fits), JUNK)
    names = st.lists(st.sampled_from(sorted(values)), unique=True, max_size=4)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values[name] for name in chosen})
    )


OPENAI_BODIES = _bodies(OPENAI_MESSAGES, OPENAI_FIELDS)
ANTHROPIC_BODIES = _bodies(ANTHROPIC_MESSAGES, ANTHROPIC_FIELDS)
