"""Answers given before: for the very same request, or for one that is worded alike."""

from .asks import CacheAsk
from .cache import ResponseCache
from .entries import CachedAnswer

__all__ = ["CacheAsk", "CachedAnswer", "ResponseCache"]
