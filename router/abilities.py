"""What a model can do, as a point in the space that the success head works in.

p(m succeeds on q) = sigmoid(theta_m . a(q) - b(q) + c_m): a(q), b(q) come from the predictor's
graph, theta_m and c_m are the model's ability. Abilities of known models ship in abilities.json; a
model nobody has seen starts from a prior, regressed on its price and on what its name says, and
its own labelled outcomes move it from there (`fit_ability`), with the encoder left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .artifact import Artifact
from .errors import ArtifactDamagedError, UsageError
from .model_names import describe_name, plain_name

__all__ = ["PRIOR_FEATURES", "Abilities", "Ability", "fit_ability", "prior_features"]

Floats = npt.NDArray[np.float64]
PRIOR_FEATURES: Final = ("one", "log_price", "price_known")  # then model_names.NAME_FEATURES
_NEWTON_STEPS: Final = 30
_SETTLED: Final = 1e-6  # the largest step that still counts as movement


@dataclass(frozen=True, kw_only=True)
class Ability:
    """One model: theta [k], bias c, and log-scale verbosity (offset of log output tokens).

    Costs are USD per 1M tokens, None when unknown; `n_labels` outcomes stand behind the figures,
    0 for a prior.
    """

    name: str
    theta: tuple[float, ...]
    bias: float
    verbosity: float
    input_cost: float | None
    output_cost: float | None
    n_labels: int

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """theta and bias as the graph takes them, float32 [k + 1]."""
        return np.array((*self.theta, self.bias), dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """The shipped abilities, their other names, and the prior for models that are not among them.

    `weights` is float64 [n_prior_features, k + 2]: theta, bias and verbosity from the features of
    `prior_features`. `covariance`, [k + 1, k + 1], is what that regression leaves unexplained.
    """

    known: Mapping[str, Ability]
    aliases: Mapping[str, str]
    weights: Floats = field(repr=False)
    covariance: Floats = field(repr=False)
    _plain: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Abilities:
        """Read abilities.json; raises ArtifactDamagedError when it has another shape."""
        return cls.from_json(artifact.read_json("abilities.json"), where=str(artifact.root))

    @classmethod
    def from_json(cls, content: Mapping[str, Any], *, where: str = "abilities") -> Abilities:
        """Abilities from the content of an abilities.json."""
        try:
            known = {
                name: Ability(
                    name=name,
                    theta=tuple(map(float, entry["theta"])),
                    bias=float(entry["bias"]),
                    verbosity=float(entry["verbosity"]),
                    input_cost=entry["input_cost"],
                    output_cost=entry["output_cost"],
                    n_labels=int(entry["n_labels"]),
                )
                for name, entry in content["abilities"].items()
            }
            aliases = dict(content["aliases"])
            weights = np.array(content["prior"]["weights"], dtype=np.float64)
            covariance = np.array(content["prior"]["covariance"], dtype=np.float64)
            k = int(content["k"])
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ArtifactDamagedError(
                f"abilities.json of {where} has another shape ({exc!r}); export it again"
            ) from exc
        n_features = len(prior_features("", None, None))
        if weights.shape != (n_features, k + 2) or covariance.shape != (k + 1, k + 1):
            raise ArtifactDamagedError(
                f"abilities.json of {where}: prior is {weights.shape} and {covariance.shape}, "
                f"expected {(n_features, k + 2)} and {(k + 1, k + 1)}; export it again"
            )
        # An exact name always wins; of several with one plain name, the first in the file does.
        plain: dict[str, str] = {}
        for name, target in [*((name, name) for name in known), *aliases.items()]:
            plain.setdefault(plain_name(name), target)
        return cls(
            known=known, aliases=aliases, weights=weights, covariance=covariance, _plain=plain
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The canonical names that ship, in the file's order."""
        return tuple(self.known)

    def resolve(self, name: str) -> str | None:
        """The canonical name that `name` stands for, or None for a model that does not ship."""
        if name in self.known:
            return name
        return self.aliases.get(name) or self._plain.get(plain_name(name))

    def get(
        self, name: str, *, input_cost: float | None = None, output_cost: float | None = None
    ) -> Ability:
        """The ability of a model by any of its names; a prior for one that does not ship."""
        canonical = self.resolve(name)
        if canonical is None:
            return self.prior(name, input_cost, output_cost)
        return self.known[canonical]

    def prior(self, name: str, input_cost: float | None, output_cost: float | None) -> Ability:
        """What to expect of a model from its name and its prices alone."""
        expected = np.array(prior_features(name, input_cost, output_cost)) @ self.weights
        return Ability(
            name=name,
            theta=tuple(expected[:-2].tolist()),
            bias=float(expected[-2]),
            verbosity=float(expected[-1]),
            input_cost=input_cost,
            output_cost=output_cost,
            n_labels=0,
        )

    def fit(
        self,
        name: str,
        features: npt.NDArray[np.float32],
        difficulty: npt.NDArray[np.float32],
        correct: npt.NDArray[np.bool_],
        *,
        input_cost: float | None = None,
        output_cost: float | None = None,
    ) -> Ability:
        """`fit_ability` from this population's prior for `name`."""
        prior = self.prior(name, input_cost, output_cost)
        return fit_ability(features, difficulty, correct, prior, covariance=self.covariance)


def prior_features(
    name: str, input_cost: float | None, output_cost: float | None
) -> tuple[float, ...]:
    """PRIOR_FEATURES and NAME_FEATURES of a model: what its prior is a linear function of.

    The price is log of (3 x input + output) / 4 in USD per 1M tokens, the usual blend.
    """
    costs = [cost for cost in (input_cost, output_cost) if cost is not None and cost > 0]
    both = len(costs) == 2
    blended = (3 * costs[0] + costs[1]) / 4 if both else next(iter(costs), 1.0)
    price = (math.log(min(max(blended, 1e-3), 1e3)), 1.0) if costs else (0.0, 0.0)
    return (1.0, *price, *describe_name(name))


def fit_ability(
    features: npt.NDArray[np.float32],
    difficulty: npt.NDArray[np.float32],
    correct: npt.NDArray[np.bool_] | Iterable[bool],
    prior: Ability,
    *,
    covariance: Floats | None = None,
) -> Ability:
    """The most probable ability given labelled outcomes: Bayesian logistic regression by Newton.

    `features` is a(q) [n, k] and `difficulty` b(q) [n] of the queries answered, `correct` [n].
    The prior is Gaussian around `prior` with `covariance` [k + 1, k + 1] (theta, then bias; unit
    by default). Milliseconds for some thousand outcomes. Raises UsageError on shapes that do not
    fit.
    """
    labels = np.asarray(correct, dtype=np.float64)
    n, k = len(labels), len(prior.theta)
    design = np.asarray(features, dtype=np.float64).reshape(n, -1) if n else np.zeros((0, k))
    offset = -np.asarray(difficulty, dtype=np.float64)
    if design.shape != (n, k) or offset.shape != (n,):
        raise UsageError(
            f"features are {list(np.shape(features))} and difficulty {list(np.shape(difficulty))} "
            f"for {n} labels; expected [{n}, {k}] and [{n}]",
            param="features",
        )
    design = np.hstack([design, np.ones((n, 1))])
    centre = np.array((*prior.theta, prior.bias), dtype=np.float64)
    spread = np.eye(k + 1) if covariance is None else np.asarray(covariance, dtype=np.float64)
    precision: Floats = np.asarray(np.linalg.inv(spread + 1e-6 * np.eye(k + 1)), np.float64)
    found = _maximise(design, offset, labels, centre, precision)
    return replace(
        prior,
        theta=tuple(found[:-1].tolist()),
        bias=float(found[-1]),
        n_labels=prior.n_labels + n,
    )


def _maximise(
    design: Floats, offset: Floats, labels: Floats, centre: Floats, precision: Floats
) -> Floats:
    """The maximum a posteriori, by Newton steps halved until they climb."""

    def objective(at: Floats) -> float:
        logits = design @ at + offset
        off = at - centre
        likelihood = labels @ logits - np.logaddexp(0.0, logits).sum()
        return float(likelihood - 0.5 * off @ precision @ off)

    at, value = centre.copy(), objective(centre)
    for _ in range(_NEWTON_STEPS):
        p = 0.5 * (1.0 + np.tanh(0.5 * (design @ at + offset)))
        gradient = design.T @ (labels - p) - precision @ (at - centre)
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + precision
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while (reached := objective(at + scale * step)) < value and scale > 1e-4:
            scale /= 2.0
        if reached < value:
            break
        at, value = at + scale * step, reached
        if np.abs(scale * step).max() < _SETTLED:
            break
    return at
