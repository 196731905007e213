"""Fits the success head: item parameters from a prompt's features, and one ability per model.

p(m succeeds on q) = sigmoid(theta_m . a(q) - b(q) + c_m). a and b are a mixture of linear experts:
a heavily shrunk linear part for all prompts plus, for each soft cluster of prompts, a linear part
on few features, because what makes a word problem hard is not what makes an exam question hard.
Measured on RouteLLM's pair, one linear map for all reaches an APGR of 0.53-0.58 on GSM8K.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .predictor_data import PredictorData

__all__ = ["FeatureMap", "SuccessHead", "SuccessSettings", "fit_success", "map_features"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
CLIP = 6.0  # of a local feature, in standard deviations
MASS_SCALE = 5.0  # a sum of weights of 25 is "one" unit of length


@dataclass(frozen=True, kw_only=True)
class SuccessSettings:
    """What the fit depends on beside its data; the defaults are what ships."""

    k: int = 8
    clusters: int = 8
    local_axes: int = 32
    gate_axes: int = 64
    gate_temperature: float = 0.2
    l2: float = 1e-3
    global_penalty: float = 5.0
    local_penalty: float = 0.8
    source_balance: float = 0.3
    model_balance: float = 0.5
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
    unseen = counts == 0
    theta, bias = fitted["theta"], fitted["bias"]
    theta[unseen], bias[unseen] = np.nan, np.nan
    return SuccessHead(features=frame.fold(fitted, chosen), theta=theta, bias=bias, n_labels=counts)


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
        weights, bias = _gate(common[:, at_gate] * stretch, sources, chosen)
        full = np.zeros((x.shape[1], chosen.clusters), dtype=np.float32)
        full[at_gate] = weights * stretch[:, None] * scale[at_gate][:, None]
        gate_bias = bias - (mean[at_gate] * scale[at_gate] * stretch) @ weights
        gate = _softmax(x @ full + gate_bias)
        mass = gate.sum(axis=0)[:, None] + 1e-6
        centre = gate.T @ local / mass
        spread = np.sqrt(np.maximum(gate.T @ local**2 / mass - centre**2, 0.0)) + 0.1
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

    def fold(self, fitted: Mapping[str, Floats], chosen: SuccessSettings) -> FeatureMap:
        """The fitted weights on raw features."""
        linear = fitted["linear"] * self.scale[:, None]
        experts = fitted["experts"] / self.spread.T[:, :, None]  # [l, clusters, k1]
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


def _gate(points: Any, sources: Any, chosen: SuccessSettings) -> tuple[Any, Any]:
    """Weights and bias of the gate's logits: minus squared distance to k-means centres over T.

    The squared norm of the point is common to all clusters, so the logits are linear.
    """
    from sklearn.cluster import KMeans

    names, inverse, counts = np.unique(sources.astype(str), return_inverse=True, return_counts=True)
    del names
    some = np.random.default_rng(chosen.seed).permutation(len(points))[:8000]
    means = KMeans(chosen.clusters, n_init=2, random_state=chosen.seed).fit(
        points[some], sample_weight=counts[inverse][some] ** -0.5
    )
    distances = means.transform(points) ** 2
    if chosen.clusters > 1:
        ordered = np.sort(distances, axis=1)
        unit = float(np.median(ordered[:, 1] - ordered[:, 0])) * chosen.gate_temperature
    else:
        unit = 1.0
    centres = means.cluster_centers_
    return 2.0 * centres.T / unit, -(centres**2).sum(axis=1) / unit


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
    common, local, gate = (torch.tensor(v) for v in (frame.common, frame.local, frame.gate))
    centre, spread = torch.tensor(frame.centre), torch.tensor(frame.spread)
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
    experts = torch.zeros(local.shape[1], clusters, k1, requires_grad=True)
    expert_bias = (torch.randn(clusters, k1) * 0.02).requires_grad_()
    theta = (torch.randn(n_models, k) * 0.3).requires_grad_()
    optimizer = torch.optim.Adam(
        [linear, experts, expert_bias, theta, bias], lr=chosen.learning_rate
    )
    for step in range(chosen.steps):
        scaled = experts / spread.T[:, :, None]
        shift = expert_bias - (scaled * centre.T[:, :, None]).sum(dim=0)
        parts = (local @ scaled.reshape(-1, clusters * k1)).view(-1, clusters, k1)
        # Turned round, the product of a tall matrix and a narrow one takes a quarter of the time.
        shared = (linear.T @ common.T).T.contiguous()
        items = shared + gate @ shift + (parts * gate[:, :, None]).sum(dim=1)
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
