"""Who is asking: the holder of a key, the admin, or, in open mode, anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from router.records.key_records import KeySettings

__all__ = ["ADMIN", "ANYBODY", "Tenant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    """`key_id` names its account and its outcomes; it is '' for ANYBODY, and no key's id for
    ADMIN."""

    key_id: str
    name: str
    is_admin: bool = False
    settings: KeySettings = field(default_factory=KeySettings)

    def may_use_model(self, name: str) -> bool:
        """Whether it may ask this model by its name; a key that is held to cascades alone may ask
        none."""
        models = self.settings.models
        return not self.settings.cascades if models is None else name in models

    def may_use_cascade(self, name: str) -> bool:
        """Whether it may ask this cascade, whatever models are in it; a key that is held to models
        alone may ask none. "auto" has to be put as the name of the cascade that it stands for."""
        cascades = self.settings.cascades
        return not self.settings.models if cascades is None else name in cascades


ANYBODY: Final = Tenant(key_id="", name="anybody")
"""Everyone, in open mode."""

ADMIN: Final = Tenant(key_id="admin", name="admin", is_admin=True)
