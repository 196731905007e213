"""Token counts as providers report them, read with distrust: what makes no sense counts as none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..chat import Usage

__all__ = ["MAX_TOKENS", "read_usage"]

MAX_TOKENS: Final = 100_000_000  # ten times the longest context there is


def read_usage(found: Any) -> Usage | None:
    """The usage of a chat completion, or None when its main counts are missing or absurd.

    A part (cached, reasoning) that is missing or larger than its whole counts as 0. DeepSeek's
    `prompt_cache_hit_tokens` is read where `prompt_tokens_details` is missing, and Anthropic's
    `cache_creation`, which is passed on as it came. What Gemini thought, it counts and charges in
    the total only: what that has beyond the rest is output too.
    """
    if not isinstance(found, Mapping):
        return None
    prompt = _count(found.get("prompt_tokens"))
    completion = _count(found.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    thought = max(0, (_count(found.get("total_tokens")) or 0) - prompt - completion)
    completion += thought
    of_prompt = _details(found.get("prompt_tokens_details"))
    of_completion = _details(found.get("completion_tokens_details"))
    cached = _part(of_prompt.get("cached_tokens", found.get("prompt_cache_hit_tokens")), prompt)
    written = _part(of_prompt.get("cache_write_tokens"), prompt - cached)
    of_written = _details(found.get("cache_creation"))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        long_cache_write_tokens=_part(of_written.get("ephemeral_1h_input_tokens"), written),
        reasoning_tokens=_part(of_completion.get("reasoning_tokens"), completion) or thought,
    )


def _details(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _count(found: Any) -> int | None:
    if isinstance(found, bool) or not isinstance(found, int):
        return None
    return found if 0 <= found <= MAX_TOKENS else None


def _part(found: Any, whole: int) -> int:
    count = _count(found)
    return count if count is not None and count <= whole else 0
