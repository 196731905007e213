"""Validation: is this draft acceptable? Rules, final answers, agreement, learned probability."""
