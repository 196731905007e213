"""Fits the domain head (domain_head.py) as a network (domain_network.py)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS

from .domain_head import DomainHead, DomainSettings
from .predictor_data import PromptTexts
from .vocabulary import StaticTable

__all__ = ["balance", "fit_domain"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


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

    labels int64 [n] index DOMAINS, weights float32 [n]. The same arguments give the same head.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from .domain_network import Network

    chosen = settings or DomainSettings()
    torch.manual_seed(chosen.seed)
    rng = np.random.default_rng(chosen.seed)
    net = Network(table, views[0].shape.shape[1], chosen)
    tables = net.tables()
    rest = [p for p in net.parameters() if all(p is not q for q in tables)]
    # Vectors decay, so that words of few texts stay near what the teacher knows of them.
    flat, wide = ([p for p in tables if p.dim() == dim] for dim in (1, 2))
    rates = [chosen.learning_rate, chosen.table_rate, chosen.table_rate]
    decays = [1e-3, 0.0, chosen.table_decay]
    groups = [
        {"params": part, "lr": rate, "weight_decay": decay}
        for part, rate, decay in zip((rest, flat, wide), rates, decays, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups)
    n, steps = len(labels), -(-len(labels) // chosen.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        rates,
        total_steps=chosen.epochs * steps,
        pct_start=0.1,
    )
    targets, importance = torch.tensor(labels), torch.tensor(weights)
    clipped = [[_clip(ids, chosen.max_tokens) for ids in view.ids] for view in views]
    chances = np.array(chosen.views[: len(views)])
    chances /= chances.sum()
    for _ in range(chosen.epochs):
        order = rng.permutation(n)
        which = rng.choice(len(views), n, p=chances)
        for rows in np.array_split(order, steps):  # alike in size: no batch of one
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
