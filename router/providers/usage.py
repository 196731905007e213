"""Token counts as providers report them, read with distrust: what makes no sense counts as none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..chat import Usage

__all__ = ["MAX_TOKENS", "read_counts", "read_usage"]

_NO_DETAILS: Final[Mapping[str, Any]] = MappingProxyType({})
MAX_TOKENS: Final = 100_000_000  # ten times the longest context there is


def read_usage(found: Any) -> Usage | None:
    """The usage of a chat completion, or None when its main counts are missing or absurd.

    A part (cached, reasoning) that is missing or larger than its whole counts as 0. DeepSeek's
    `prompt_cache_hit_tokens` is read where `prompt_tokens_details` is missing, and Anthropic's
    `cache_creation`, which is passed on as it came. What Gemini thought, it counts and charges in
    the total only: what that has beyond the rest is output too.
    """
    counts = read_counts(found)
    if counts is None:
        return None
    prompt, completion = counts
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


def read_counts(found: Any) -> tuple[int, int] | None:
    """The tokens of prompt and completion as a usage has them; None when one is missing or
    absurd."""
    if type(found) is not dict and not isinstance(found, Mapping):
        return None
    prompt = _count(found.get("prompt_tokens"))
    completion = _count(found.get("completion_tokens"))
    return None if prompt is None or completion is None else (prompt, completion)


def _details(found: Any) -> Mapping[str, Any]:
    # Mostly nothing is given, and asking whether that is a mapping takes ten times as long.
    return found if found is not None and isinstance(found, Mapping) else _NO_DETAILS


def _count(found: Any) -> int | None:
    if type(found) is not int:  # nor a bool, which is an instance of int
        return None
    return found if 0 <= found <= MAX_TOKENS else None


def _part(found: Any, whole: int) -> int:
    if found is None:
        return 0
    count = _count(found)
    return count if count is not None and count <= whole else 0
