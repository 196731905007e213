"""Fits the domain head: token weights, a small token table of its own and one hidden layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS

from .predictor_data import PromptTexts
from .vocabulary import StaticTable

__all__ = ["DomainHead", "DomainSettings", "balance", "fit_domain"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DomainSettings:
    """What the fit depends on beside its data; the defaults are what ships."""

    own_axes: int = 16
    hidden: int = 64
    dropout: float = 0.3
    epochs: int = 4
    batch: int = 128
    learning_rate: float = 2e-3
    table_rate: float = 3e-3
    smoothing: float = 0.05
    max_tokens: int = 160  # read in training; head and tail of longer texts
    views: tuple[float, ...] = (0.5, 0.25, 0.25)  # chance of each view of a text
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class DomainHead:
    """probabilities = softmax(temperature * (relu(u W1 + c1) W2 + c2)), u = [mean, own, shape].

    `weights` float32 [V] are the head's own pooling weights, 0 for padding; `own` float32 [V, r]
    its own token table, pooled alike. The standardisation of u is folded into W1 and c1.
    """

    weights: Floats
    own: Floats
    w1: Floats
    c1: Floats
    w2: Floats
    c2: Floats

    def logits(self, texts: PromptTexts, table: StaticTable) -> Floats:
        """float32 [n, 10]."""
        vectors = np.hstack([table.vectors, self.own])
        out = np.zeros((len(texts), len(self.c2)), dtype=np.float32)
        for row, ids in enumerate(texts.ids):
            w = self.weights[ids]
            pooled = (w @ vectors[ids]) / max(float(w.sum()), 1e-6)
            u = np.concatenate([pooled, texts.shape[row]])
            out[row] = np.maximum(u @ self.w1 + self.c1, 0.0) @ self.w2 + self.c2
        return out


def balance(labels: Ints, sources: Sequence[str]) -> Floats:
    """A weight for each text, mean 1: large sources and large domains count less each."""
    pairs = np.array([f"{s}\0{y}" for s, y in zip(sources, labels.tolist(), strict=True)])
    _, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    weights = counts[inverse] ** -0.35
    per_domain = np.bincount(labels, weights=weights, minlength=len(DOMAINS))
    weights = weights * per_domain[labels] ** -0.7
    return np.asarray(weights / weights.mean(), dtype=np.float32)


def fit_domain(
    views: Sequence[PromptTexts],
    labels: Ints,
    weights: Floats,
    table: StaticTable,
    settings: DomainSettings | None = None,
) -> DomainHead:
    """Fit on texts, each in several `views` (as it is, lower-cased with typos, ...).

    labels int64 [n] index DOMAINS, weights float32 [n].
    """
    import torch
    from torch.nn.functional import cross_entropy

    chosen = settings or DomainSettings()
    torch.manual_seed(chosen.seed)
    rng = np.random.default_rng(chosen.seed)
    net = _network(table, views[0].shape.shape[1], chosen)
    tables = [net.raw_weights, net.own.weight]
    rest = [p for p in net.parameters() if all(p is not q for q in tables)]
    groups = [
        {"params": rest, "lr": chosen.learning_rate, "weight_decay": 1e-3},
        {"params": tables, "lr": chosen.table_rate, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups)
    n, batch = len(labels), chosen.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        [chosen.learning_rate, chosen.table_rate],
        total_steps=chosen.epochs * -(-n // batch),
        pct_start=0.1,
    )
    targets, importance = torch.tensor(labels), torch.tensor(weights)
    clipped = [[_clip(ids, chosen.max_tokens) for ids in view.ids] for view in views]
    chances = np.array(chosen.views[: len(views)])
    chances /= chances.sum()
    for _ in range(chosen.epochs):
        order = rng.permutation(n)
        which = rng.choice(len(views), n, p=chances)
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            ids = [clipped[which[i]][i] for i in rows]
            shape = np.stack([views[which[i]].shape[i] for i in rows])
            logits = net(ids, torch.tensor(shape))
            loss = cross_entropy(
                logits, targets[rows], reduction="none", label_smoothing=chosen.smoothing
            )
            optimizer.zero_grad()
            (loss * importance[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    head: DomainHead = net.fold()
    return head


def _clip(ids: npt.NDArray[np.int32], most: int) -> npt.NDArray[np.int32]:
    if len(ids) <= most:
        return ids
    head = most * 3 // 5
    return np.concatenate([ids[:head], ids[head - most :]])


def _network(table: StaticTable, n_shape: int, chosen: DomainSettings) -> Any:
    import torch
    from torch import nn
    from torch.nn.functional import embedding_bag, relu, softplus

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.vectors = torch.tensor(table.vectors)
            start = np.log(np.expm1(np.maximum(table.weights, 1e-3)))
            self.raw_weights = nn.Parameter(torch.tensor(start, dtype=torch.float32))
            self.own = nn.Embedding(len(table.weights), chosen.own_axes)
            # From zero, so that a token never seen in training says nothing here; and not
            # standardised, as zeros have no spread to divide by.
            nn.init.zeros_(self.own.weight)
            self.at = self.vectors.shape[1]
            self.norm = nn.BatchNorm1d(self.at + n_shape, affine=False, momentum=0.01)
            self.drop = nn.Dropout(chosen.dropout)
            self.first = nn.Linear(self.at + chosen.own_axes + n_shape, chosen.hidden)
            self.last = nn.Linear(chosen.hidden, len(DOMAINS))

        def forward(self, rows: list[Any], shape: Any) -> Any:
            flat = torch.from_numpy(np.concatenate(rows).astype(np.int64))
            ends = np.cumsum([len(row) for row in rows])
            offsets = torch.from_numpy(np.r_[0, ends[:-1]].astype(np.int64))
            w = softplus(self.raw_weights[flat])
            sums = torch.cat([torch.zeros(1), w.cumsum(0)])
            mass = (sums[torch.from_numpy(ends)] - sums[offsets]).clamp_min(1e-4)[:, None]
            pooled = [
                embedding_bag(flat, source, offsets, mode="sum", per_sample_weights=w) / mass
                for source in (self.vectors, self.own.weight * 8.0)
            ]
            rest = self.norm(torch.cat([pooled[0], shape], dim=1))
            u = torch.cat([rest[:, : self.at], pooled[1], rest[:, self.at :]], dim=1)
            return self.last(self.drop(relu(self.first(self.drop(u)))))

        def fold(self) -> DomainHead:
            with torch.no_grad():
                mean: Any = self.norm.running_mean
                variance: Any = self.norm.running_var
                scale = 1.0 / torch.sqrt(variance + self.norm.eps)
                own, at = self.own.weight.shape[1], self.at
                scale = torch.cat([scale[:at], torch.ones(own), scale[at:]])
                mean = torch.cat([mean[:at], torch.zeros(own), mean[at:]])
                w1 = self.first.weight.T * scale[:, None]
                c1 = self.first.bias - mean @ w1
                weights = softplus(self.raw_weights).numpy().copy()
                weights[0] = 0.0
                return DomainHead(
                    weights=weights,
                    own=(self.own.weight * 8.0).numpy().copy(),
                    w1=w1.numpy().copy(),
                    c1=c1.numpy().copy(),
                    w2=self.last.weight.T.numpy().copy(),
                    c2=self.last.bias.numpy().copy(),
                )

    return Network()
