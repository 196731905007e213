"""Sluice as a chat model of LangChain: `from router.langchain import CascadeChatModel`."""

from __future__ import annotations

from ..extras import require_extra

require_extra(
    "router.langchain", "langchain"
)  # says what to install, before the imports below fail

from .chat_model import CascadeChatModel  # noqa: E402

__all__ = ["CascadeChatModel"]
