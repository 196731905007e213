"""The pool of models, gathered: cascades may hold whole models, or get them from a preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from router.config import Fault, ModelConfig, find_faults
from router.config_file import apply_preset
from router.errors import ConfigError

__all__ = ["gather_models"]


def gather_models(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """`given` with the models that stand in its cascades moved to `models`, and what is wrong with
    them.

    Of a preset's models, those that the pool has by name already are the pool's: so a key or a
    price can be said there. What has another shape than expected stays as it is; who validates it
    refuses it.
    """
    pool = _Pool(given.get("models"))
    cascades = given.get("cascades")
    if not isinstance(cascades, Mapping):
        return dict(given), []
    emptied = {name: pool.take_from(one, f"cascades.{name}") for name, one in cascades.items()}
    changed: dict[str, Any] = {**given, "cascades": emptied}
    if pool.added:
        changed["models"] = [*pool.listed, *pool.added]
    return changed, pool.faults


class _Pool:
    def __init__(self, listed: Any) -> None:
        self.listed = listed if isinstance(listed, list | tuple) else ()
        self.added: list[ModelConfig] = []
        self.faults: list[Fault] = []
        self._known = {name: one for one in self.listed if (name := _name_of(one)) is not None}

    def take_from(self, cascade: Any, where: str) -> Any:
        if not isinstance(cascade, Mapping):
            return cascade
        try:
            filled = dict(apply_preset(cascade, where=where))
        except ConfigError as exc:
            self.faults.append(Fault(path="", message=str(exc)))
            filled = {key: one for key, one in cascade.items() if key != "preset"}
        if "models" in filled:
            own = "models" in cascade
            take = self._inline if own else self._of_preset
            filled["models"] = _each(filled["models"], f"{where}.models", take)
        if isinstance(filled.get("domains"), Mapping):
            filled["domains"] = {
                domain: _each(chain, f"{where}.domains.{domain}", self._inline)
                for domain, chain in filled["domains"].items()
            }
        return filled

    def _of_preset(self, model: Any, path: str) -> Any:
        return model.name if model.name in self._known else self._inline(model, path)

    def _inline(self, model: Any, path: str) -> Any:
        """The name of a model, which joins the pool when it is more than a name."""
        if not isinstance(model, Mapping | ModelConfig):
            return model
        try:
            config = ModelConfig.model_validate(model)
        except ValidationError as exc:
            self.faults += find_faults(ModelConfig, exc, where=path)
            # A stand-in, so that nobody complains about a model that is missing.
            config = ModelConfig(name=_name_of(model) or path)
        known = self._known.setdefault(config.name, config)
        if known is config:
            self.added.append(config)
        elif not self.faults and not _is_same(known, config):
            message = (
                f"another model is called {config.name!r} too; name one of them otherwise and say "
                "with 'model' what it is called upstream"
            )
            self.faults.append(Fault(path=f"{path}.name", message=message))
        return config.name


def _each(chain: Any, path: str, take: Callable[[Any, str], Any]) -> Any:
    if not isinstance(chain, list | tuple):
        return chain
    return [take(one, f"{path}[{index}]") for index, one in enumerate(chain)]


def _is_same(known: Any, config: ModelConfig) -> bool:
    """Whether two are one model; what is no model at all is refused elsewhere."""
    try:
        return ModelConfig.model_validate(known) == config
    except ValidationError:
        return True


def _name_of(model: Any) -> str | None:
    name = model.get("name") if isinstance(model, Mapping) else getattr(model, "name", None)
    return name if isinstance(name, str) else None
