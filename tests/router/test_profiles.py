"""Policies on file: infinities survive JSON, damage is named, the right profile is picked."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from router.errors import ArtifactDamagedError, InputError
from router.policy import CONSERVATIVE, Thresholds
from router.profiles import Expectation, PolicyFile, Profile
from router.validation.recalibration import UNCHANGED


def expectation(gain: float) -> Expectation:
    return Expectation(
        gain=gain, accepted_first=0.7, accepted_later=0.5, accepted_pair=0.8, retention=0.99
    )


def profile(target: float, **changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "thresholds": Thresholds(
            direct=math.inf, accept_first=-math.inf, escalate_first=0.25, accept_later=0.1
        ),
        "expectations": (expectation(-0.1), expectation(0.2), expectation(0.6)),
        "certified": True,
        "delta": 0.05,
        "n_labels": 800,
    }
    return Profile(target=target, **{**fields, **changes})


def policy(*targets: float, **changes: Any) -> PolicyFile:
    profiles = tuple(profile(one) for one in targets)
    return PolicyFile(chain=("small", "large"), profiles=profiles, **changes)


@pytest.mark.parametrize("recalibration", [None, UNCHANGED])
def test_a_file_reads_back_as_it_was_written(recalibration: Any) -> None:
    written = policy(0.96, 0.98, recalibration=recalibration)
    stored = json.loads(json.dumps(written.to_json(), allow_nan=False))
    assert stored["profiles"][0]["thresholds"]["direct"] == "inf"
    assert stored["profiles"][0]["thresholds"]["accept_first"] == "-inf"
    assert PolicyFile.from_json(stored, where="policy.json") == written


def test_the_conservative_policy_and_a_point_estimate_read_back() -> None:
    one = profile(1.0, thresholds=CONSERVATIVE, certified=False, delta=None)
    written = PolicyFile(chain=("large",), profiles=(one,))
    stored = json.loads(json.dumps(written.to_json(), allow_nan=False))
    assert PolicyFile.from_json(stored, where="here").profiles[0] == one


def test_profiles_come_out_ascending() -> None:
    stored = policy(0.99, 0.95).to_json()
    assert [p.target for p in PolicyFile.from_json(stored, where="x").profiles] == [0.95, 0.99]


@pytest.mark.parametrize(
    ("wanted", "target"),
    [(0.5, 0.95), (0.95, 0.95), (0.951, 0.98), (None, 0.98), (0.99, 0.99), (1.0, 0.99)],
)
def test_the_profile_that_reaches_the_target_or_the_strictest(
    wanted: float | None, target: float
) -> None:
    assert policy(0.95, 0.98, 0.99).for_target(wanted).target == target


@pytest.mark.parametrize("wanted", [-0.1, 1.1, math.nan, math.inf])
def test_a_target_that_is_no_share_is_refused(wanted: float) -> None:
    with pytest.raises(InputError) as caught:
        policy(0.95).for_target(wanted)
    assert caught.value.param == "target_quality"


@pytest.mark.parametrize(
    ("gain", "bin_edge"),
    [(-1.0, -0.1), (-0.1, -0.1), (0.0, 0.2), (0.2, 0.2), (0.3, 0.6), (9.0, 0.6)],
)
def test_the_expectation_of_a_gain_is_that_of_its_bin(gain: float, bin_edge: float) -> None:
    assert profile(0.98).expect(gain).gain == bin_edge


def damaged() -> list[Any]:
    def without(name: str) -> Any:
        stored = policy(0.95).to_json()
        del stored["profiles"][0][name]
        return stored

    broken = policy(0.95).to_json()
    broken["profiles"][0]["thresholds"]["direct"] = "often"
    nan = policy(0.95).to_json()
    nan["profiles"][0]["thresholds"]["direct"] = "nan"
    more = policy(0.95).to_json()
    more["profiles"][0]["thresholds"]["other"] = 1.0
    short = policy(0.95, recalibration=UNCHANGED).to_json()
    short["recalibration"]["pair"] = [1.0]
    empty = {"chain": ["a"], "profiles": []}
    names = ("target", "thresholds", "expectations", "certified", "delta", "n_labels")
    return [broken, nan, more, short, empty, {}, [], None, "text", *map(without, names)]


@pytest.mark.parametrize("stored", damaged(), ids=lambda one: str(one)[:20])
def test_a_damaged_file_is_named_with_its_cure(stored: Any) -> None:
    with pytest.raises(ArtifactDamagedError, match=r"my/policy\.json .* 'sluice calibrate'"):
        PolicyFile.from_json(stored, where="my/policy.json")
