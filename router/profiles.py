"""Calibrated policies on file: for a target retention, the thresholds that keep it.

`policy.json` of an artifact holds the pooled profiles; `sluice calibrate` writes files of the same
form for one chain of models. A profile also says what to expect of it, by how large the predicted
gain of escalating is: the shares accepted after one draft and later, and the retention.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from .errors import ArtifactDamagedError, ConfigError, InputError
from .policy import Thresholds
from .validation.recalibration import Recalibration

__all__ = ["Expectation", "PolicyFile", "Profile"]


_GAIN: Final = attrgetter("gain")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a profile did on calibration prompts whose predicted gain was at most `gain`.

    `accepted_first`: share accepted after one draft. `accepted_later`: share of the others
    accepted after further drafts. `accepted_pair`: share accepted when two drafts are made at
    once. `retention`: quality of its answers / quality of the verifier's.
    """

    gain: float
    accepted_first: float
    accepted_later: float
    accepted_pair: float
    retention: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Thresholds for one target. `certified` tells whether a risk bound holds at `delta`, on
    `n_labels` independent prompts; without one they are a point estimate."""

    target: float
    thresholds: Thresholds
    expectations: tuple[Expectation, ...]
    certified: bool
    delta: float | None
    n_labels: int

    def expect(self, gain: float) -> Expectation:
        """The expectation for a predicted gain."""
        index = bisect_left(self.expectations, gain, key=_GAIN)
        return self.expectations[min(index, len(self.expectations) - 1)]


@dataclass(frozen=True, kw_only=True)
class PolicyFile:
    """Profiles by target, ascending, for `chain`; with the recalibration they were chosen under
    (None: the artifact's own). `single` are those for chains of one drafter, which has to be
    believed or not without a second opinion; empty where `profiles` are for any chain."""

    chain: tuple[str, ...]
    profiles: tuple[Profile, ...]
    recalibration: Recalibration | None = None
    single: tuple[Profile, ...] = ()

    def for_target(self, target: float | None, *, n_drafters: int = 2) -> Profile:
        """The profile that keeps at least `target` with so many drafters; the strictest when none
        reaches it, and the one at .98 by default."""
        wanted = 0.98 if target is None else target
        if not 0.0 <= wanted <= 1.0:
            raise InputError(f"'target_quality' is {wanted}, expected 0..1", param="target_quality")
        profiles = self.single if n_drafters == 1 and self.single else self.profiles
        reaching = (one for one in profiles if one.target >= wanted - 1e-9)
        return next(reaching, profiles[-1])

    def to_json(self) -> dict[str, Any]:
        """As stored; infinite thresholds become the strings "inf" and "-inf"."""
        stored = asdict(self)
        for profile in (*stored["profiles"], *stored["single"]):
            profile["thresholds"] = {
                name: value if math.isfinite(value) else str(value)
                for name, value in profile["thresholds"].items()
            }
        return stored

    @classmethod
    def read(cls, path: Path) -> PolicyFile:
        """The policy in a file of `sluice calibrate`; raises ConfigError when it cannot be read,
        else as `from_json`."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise ConfigError(f"{path} is not a policy file of 'sluice calibrate': {exc}") from exc
        return cls.from_json(stored, where=str(path))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, where: str) -> PolicyFile:
        """Read what `to_json` wrote; ArtifactDamagedError naming `where` when it is something
        else."""
        try:
            recalibration = stored.get("recalibration")
            if not stored["profiles"]:
                raise ValueError("no profiles")
            return cls(
                chain=tuple(stored["chain"]),
                profiles=tuple(_profile(one) for one in _ascending(stored["profiles"])),
                single=tuple(_profile(one) for one in _ascending(stored.get("single", ()))),
                recalibration=recalibration
                and Recalibration(**{k: tuple(v) for k, v in recalibration.items()}),
            )
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as exc:
            raise ArtifactDamagedError(
                f"{where} is not a policy file of Sluice ({type(exc).__name__}: {exc}); write it "
                "with 'sluice calibrate' or export the artifact again"
            ) from exc


def _ascending(profiles: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(profiles, key=lambda one: float(one["target"]))


def _profile(stored: Mapping[str, Any]) -> Profile:
    return Profile(
        target=float(stored["target"]),
        thresholds=Thresholds(**{k: float(v) for k, v in stored["thresholds"].items()}),
        expectations=tuple(Expectation(**one) for one in stored["expectations"]),
        certified=bool(stored["certified"]),
        delta=None if stored["delta"] is None else float(stored["delta"]),
        n_labels=int(stored["n_labels"]),
    )
