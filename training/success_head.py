"""Fits the success head: item parameters from a prompt's features, and one ability per model.

p(m succeeds on q) = sigmoid(theta_m . a(q) - b(q) + c_m). a and b are a mixture of linear experts:
a heavily shrunk linear part for all prompts plus, for each soft kind of prompts, a linear part on
few features, because what makes a word problem hard is not what makes an exam question hard.
Measured on RouteLLM's pair, one linear map for all reaches an APGR of 0.53-0.58 on GSM8K.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from router.abilities import Ability, fit_ability

from .predictor_data import PredictorData
from .prompt_kinds import find_kinds, fit_gate

__all__ = ["FeatureMap", "SuccessHead", "SuccessSettings", "fit_success", "map_features"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CLIP = 6.0  # of a local feature, in standard deviations
MASS_SCALE = 5.0  # a sum of weights of 25 is "one" unit of length
_LEVEL_VARIANCE = 0.1  # of a model's departures by kind: as strong as some 50 labels
_LEAST_SHARE = 0.02  # of a kind in a prompt, for the prompt to count in the kind's fit


@dataclass(frozen=True, kw_only=True)
class SuccessSettings:
    """What the fit depends on beside its data; the defaults are what ships."""

    k: int = 8
    clusters: int = 14
    local_axes: int = 128
    last_axis: float = 0.4
    gate_axes: int = 64
    l2: float = 1e-3
    global_penalty: float = 12.0
    local_penalty: float = 2.4
    source_balance: float = 0.45
    model_balance: float = 0.8
    steps: int = 150
    learning_rate: float = 0.02
    seed: int = 0
    source_boost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """Everything of the head that maps features to item parameters, on raw features.

    x = [e, e * sqrt(mass) / 5, shape], float32 [n, D]. `linear` [D, k1 + clusters] and
    `linear_bias` give the common part and the gate's logits; `local_mean`, `local_scale` [l]
    standardise [x's second part's first axes, shape]; `experts` [l, clusters * k1] and
    `expert_bias` [clusters * k1] are the clusters' linear parts. k1 = k + 1: a, then b.
    """

    linear: Floats
    linear_bias: Floats
    local_mean: Floats
    local_scale: Floats
    experts: Floats
    expert_bias: Floats
    clusters: int
    dimension: int
    local_axes: int

    def items(self, mean: Floats, mass: Floats, shape: Floats) -> Floats:
        """[a, b] of prompts, float32 [n, k + 1]."""
        x = map_features(mean, mass, shape)
        common = x @ self.linear + self.linear_bias
        k1 = common.shape[1] - self.clusters
        gate = _softmax(common[:, k1:])
        local = np.hstack([x[:, self.dimension : self.dimension + self.local_axes], shape])
        local = np.clip((local - self.local_mean) * self.local_scale, -CLIP, CLIP)
        parts = (local @ self.experts + self.expert_bias).reshape(-1, self.clusters, k1)
        return np.asarray(common[:, :k1] + np.einsum("ngk,ng->nk", parts, gate), dtype=np.float32)

    def with_shares(self) -> FeatureMap:
        """The same, with the clusters' shares of a prompt as further axes of a, before b."""
        g, k = self.clusters, self.linear.shape[1] - self.clusters - 1
        linear, linear_bias = (
            np.insert(v, [k] * g, 0.0, axis=-1) for v in (self.linear, self.linear_bias)
        )
        experts = self.experts.reshape(-1, g, k + 1)
        expert_bias = np.insert(self.expert_bias.reshape(g, k + 1), [k] * g, np.eye(g), axis=1)
        return replace(
            self,
            linear=linear.astype(np.float32),
            linear_bias=linear_bias.astype(np.float32),
            experts=np.insert(experts, [k] * g, 0.0, axis=2).reshape(len(experts), -1),
            expert_bias=expert_bias.ravel().astype(np.float32),
        )


@dataclass(frozen=True, kw_only=True)
class SuccessHead:
    """A fitted head: `theta` float32 [n_models, k], `bias` float32 [n_models] (NaN: no labels)."""

    features: FeatureMap
    theta: Floats
    bias: Floats
    n_labels: Ints

    def logits(self, items: Floats) -> Floats:
        """float32 [n, n_models] from [a, b] of n prompts."""
        return np.asarray(items[:, :-1] @ self.theta.T - items[:, -1:] + self.bias, np.float32)


def map_features(mean: Floats, mass: Floats, shape: Floats) -> Floats:
    """x of FeatureMap, float32 [n, 2 d + s]."""
    scaled = mean * (np.sqrt(mass)[:, None] / MASS_SCALE)
    return np.hstack([mean, scaled, shape]).astype(np.float32)


def fit_success(
    data: PredictorData,
    pooled: tuple[Floats, Floats],
    train: Bools,
    settings: SuccessSettings | None = None,
    labels: Floats | None = None,
) -> SuccessHead:
    """Fit on the rows where `train`, bool [rows], holds; `labels` stands in for data.labels."""
    chosen = settings or SuccessSettings()
    labels = data.labels if labels is None else labels
    rows = train & ~np.isnan(labels)
    prompts = np.unique(data.row_prompt[rows])
    source_of = np.full(len(data.prompts), "", dtype=object)
    source_of[data.row_prompt[rows]] = data.sources[rows]
    shape = data.texts.shape
    x = map_features(pooled[0], pooled[1], shape)[prompts]
    d = pooled[0].shape[1]
    frame = _Frame.of(x, source_of[prompts], d, shape.shape[1], chosen)
    blocks = _blocks(data, labels, rows, prompts, chosen)
    fitted = _descend(frame, blocks, len(data.models), chosen)
    counts = np.bincount(data.row_model[rows], minlength=len(data.models))
    fitted["theta"][counts == 0] = fitted["bias"][counts == 0] = np.nan
    head = SuccessHead(
        features=frame.fold(fitted, chosen),
        theta=fitted["theta"],
        bias=fitted["bias"],
        n_labels=counts,
    )
    return _settle(head, data, pooled, rows, labels)


def _settle(
    head: SuccessHead, data: PredictorData, pooled: tuple[Floats, Floats], rows: Bools, labels: Any
) -> SuccessHead:
    """The head with each model's level in each kind of prompts set right, as far as labels tell.

    The kinds' shares become axes of a(q), [..., k + clusters], and a model's departures from what
    was fitted their theta, with a Gaussian prior around 0.
    """
    clusters = head.features.clusters
    features = head.features.with_shares()
    items = features.items(*pooled, data.texts.shape)
    k = items.shape[1] - 1 - clusters
    extra = np.full((len(data.models), clusters), np.nan, dtype=np.float32)
    bias = head.bias.copy()
    spread = np.diag(np.full(clusters + 1, _LEVEL_VARIANCE))
    nothing = Ability(
        name="", theta=(0.0,) * clusters, bias=0.0, verbosity=0.0, input_cost=None,
        output_cost=None, n_labels=0,
    )  # fmt: skip
    for model in np.flatnonzero(head.n_labels):
        own = np.flatnonzero(rows & (data.row_model == model))
        item = items[data.row_prompt[own]]
        logits = item[:, :k] @ head.theta[model] - item[:, -1] + head.bias[model]
        found = fit_ability(item[:, k:-1], -logits, labels[own] > 0.5, nothing, covariance=spread)
        extra[model], bias[model] = found.theta, bias[model] + found.bias
    return SuccessHead(
        features=features,
        theta=np.hstack([head.theta, extra]),
        bias=bias,
        n_labels=head.n_labels,
    )


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Standardised features of the training prompts, and how they were made."""

    common: Floats  # [n, D]
    local: Floats  # [n, l]
    gate: Floats  # [n, clusters]
    mean: Floats
    scale: Floats
    local_mean: Floats
    local_scale: Floats
    centre: Floats  # [clusters, l]: mean of the local features in each cluster
    spread: Floats  # [clusters, l]
    gate_weights: Floats  # [D, clusters]
    gate_bias: Floats
    d: int

    @classmethod
    def of(cls, x: Floats, sources: Any, d: int, s: int, chosen: SuccessSettings) -> _Frame:
        mean, scale = x.mean(axis=0), 1.0 / (x.std(axis=0) + 1e-6)
        common = (x - mean) * scale
        at = np.r_[d : d + chosen.local_axes, 2 * d : 2 * d + s]
        local = np.clip(common[:, at], -CLIP, CLIP)
        axes = min(chosen.gate_axes, d)
        at_gate = np.r_[0:axes, 2 * d : 2 * d + s]
        stretch = np.r_[np.linspace(1.0, 0.3, axes), np.full(s, 0.7 * (20.0 / s) ** 0.5)]
        points = (common[:, at_gate] * stretch).astype(np.float64)
        kinds = find_kinds(points, sources, chosen.clusters, chosen.seed)
        weights, bias = fit_gate(points, kinds, chosen.clusters, chosen.seed)
        full = np.zeros((x.shape[1], chosen.clusters), dtype=np.float32)
        full[at_gate] = weights * stretch[:, None] * scale[at_gate][:, None]
        gate_bias = bias - (mean[at_gate] * scale[at_gate] * stretch) @ weights
        gate = _softmax(x @ full + gate_bias)
        mass = gate.sum(axis=0)[:, None] + 1e-6
        centre = gate.T @ local / mass
        spread = np.sqrt(np.maximum(gate.T @ local**2 / mass - centre**2, 0.0)) + 0.1
        # Later axes say less: the same penalty holds them down more.
        spread[:, : chosen.local_axes] /= np.linspace(1.0, chosen.last_axis, chosen.local_axes)
        return cls(
            common=common.astype(np.float32),
            local=local.astype(np.float32),
            gate=gate.astype(np.float32),
            mean=mean,
            scale=scale,
            local_mean=mean[at],
            local_scale=scale[at],
            centre=centre.astype(np.float32),
            spread=spread.astype(np.float32),
            gate_weights=full,
            gate_bias=gate_bias.astype(np.float32),
            d=d,
        )

    def by_kind(self) -> list[tuple[Ints, Floats, Floats]]:
        """Of each kind: its prompts, their unit features times their share, and the share."""
        found = []
        for kind, share in enumerate(self.gate.T):
            own = np.flatnonzero(share > _LEAST_SHARE)
            unit = (self.local[own] - self.centre[kind]) / self.spread[kind]
            found.append((own, unit * share[own, None], share[own]))
        return found

    def fold(self, fitted: Mapping[str, Floats], chosen: SuccessSettings) -> FeatureMap:
        """The fitted weights on raw features."""
        linear = fitted["linear"] * self.scale[:, None]
        experts = fitted["experts"].transpose(1, 0, 2) / self.spread.T[:, :, None]  # [l, g, k1]
        expert_bias = fitted["expert_bias"] - np.einsum("lgk,gl->gk", experts, self.centre)
        return FeatureMap(
            linear=np.hstack([linear, self.gate_weights]).astype(np.float32),
            linear_bias=np.r_[-self.mean @ linear, self.gate_bias].astype(np.float32),
            local_mean=self.local_mean.astype(np.float32),
            local_scale=self.local_scale.astype(np.float32),
            experts=experts.reshape(len(experts), -1).astype(np.float32),
            expert_bias=expert_bias.ravel().astype(np.float32),
            clusters=chosen.clusters,
            dimension=self.d,
            local_axes=chosen.local_axes,
        )


def _blocks(
    data: PredictorData, labels: Floats, rows: Bools, prompts: Ints, chosen: SuccessSettings
) -> list[tuple[Ints, Ints, Floats, Floats]]:
    """Per source: positions of its prompts, its models, labels and weights [prompts, models]."""
    blocks: list[tuple[Any, Any, Any, Any]] = []
    names = data.sources.astype(str)
    for source in sorted(set(names[rows])):
        at = rows & (names == source)
        own, i = np.unique(data.row_prompt[at], return_inverse=True)
        models, j = np.unique(data.row_model[at], return_inverse=True)
        total = np.zeros((len(own), len(models)), dtype=np.float32)
        count = np.zeros_like(total)
        np.add.at(total, (i, j), labels[at])
        np.add.at(count, (i, j), 1.0)
        known = (count > 0).astype(np.float32)
        weight = known * known.sum(axis=1, keepdims=True) ** -chosen.model_balance
        weight *= len(own) ** -chosen.source_balance * chosen.source_boost.get(source, 1.0)
        y = total / np.maximum(count, 1.0)
        blocks.append((np.searchsorted(prompts, own), models, y, weight.astype(np.float32)))
    return blocks


def _descend(
    frame: _Frame, blocks: Any, n_models: int, chosen: SuccessSettings
) -> dict[str, Floats]:
    """Adam on all rows at once, with a falling rate: few, deterministic steps."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    torch.manual_seed(chosen.seed)
    k, k1, clusters = chosen.k, chosen.k + 1, chosen.clusters
    common = torch.tensor(frame.common)
    shares = [tuple(torch.tensor(v) for v in one) for one in frame.by_kind()]
    right, seen = np.full(n_models, 2.0), np.full(n_models, 4.0)
    total = 0.0
    ready = []
    for at, models, y, weight in blocks:
        right[models] += (y * (weight > 0)).sum(axis=0)
        seen[models] += (weight > 0).sum(axis=0)
        total += float(weight.sum())
        ready.append(tuple(torch.tensor(v) for v in (at, models, y, weight)))
    rate = right / seen
    bias = torch.tensor(np.log(rate / (1 - rate)), dtype=torch.float32).requires_grad_()
    linear = (torch.randn(common.shape[1], k1) * 0.02).requires_grad_()
    experts = torch.zeros(clusters, frame.local.shape[1], k1, requires_grad=True)
    expert_bias = (torch.randn(clusters, k1) * 0.02).requires_grad_()
    theta = (torch.randn(n_models, k) * 0.3).requires_grad_()
    optimizer = torch.optim.Adam(
        [linear, experts, expert_bias, theta, bias], lr=chosen.learning_rate
    )
    for step in range(chosen.steps):
        # Turned round, the product of a tall matrix and a narrow one takes a quarter of the time.
        items = (linear.T @ common.T).T.contiguous()
        for kind, (own, unit, share) in enumerate(shares):
            part = unit @ experts[kind] + share[:, None] * expert_bias[kind]
            items = items.index_add(0, own, part)
        loss = torch.zeros(())
        for at, models, y, weight in ready:
            item = items[at]
            logits = item[:, :k] @ theta[models].T - item[:, k:] + bias[models]
            loss = loss + cross_entropy(logits, y, weight=weight, reduction="sum")
        loss = loss / total + chosen.l2 * (
            chosen.global_penalty * linear.pow(2).sum()
            + chosen.local_penalty * experts.pow(2).sum()
            + 0.05 * expert_bias.pow(2).sum()
            + theta.pow(2).mean()
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for group in optimizer.param_groups:
            left = (chosen.steps - step) / chosen.steps
            group["lr"] = chosen.learning_rate * min(1.0, 1.5 * left)
    named = {"linear": linear, "experts": experts, "expert_bias": expert_bias}
    named |= {"theta": theta, "bias": bias}
    return {name: value.detach().numpy().copy() for name, value in named.items()}


def _softmax(logits: Any) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
