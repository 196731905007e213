"""The domain head while it is trained; `fold` makes arrays of it. Imports torch: import it late."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding_bag, relu, softplus

from router.domains import DOMAINS

from .domain_head import FIRST_WORD_ID, DomainHead, DomainSettings, end_windows
from .vocabulary import StaticTable

__all__ = ["Network"]

_TABLE_SCALE = 8.0  # of tables that start from zero: with it they learn as fast as the rest


class Network(nn.Module):
    """(ids, one array a text; shape [n, n_shape]) -> logits [n, 10]."""

    def __init__(self, table: StaticTable, n_shape: int, chosen: DomainSettings) -> None:
        super().__init__()
        self.chosen = chosen
        self.vectors = torch.tensor(table.vectors)
        start = np.log(np.expm1(np.maximum(table.weights, 1e-3)))
        self.raw_weights = nn.Parameter(torch.tensor(start, dtype=torch.float32))
        self.raw_end_weights = nn.Parameter(torch.tensor(start, dtype=torch.float32))
        self.own, self.own_ends = _zeros(table, chosen.own_axes), _zeros(table, chosen.end_axes)
        self.at = self.vectors.shape[1]
        self.norm = nn.BatchNorm1d(self.at + n_shape, affine=False, momentum=0.01)
        self.drop = nn.Dropout(chosen.dropout)
        self.project = nn.Linear(self.at, chosen.end_axes, bias=False)
        nn.init.normal_(self.project.weight, std=self.at**-0.5)
        self.filters = nn.Linear(3 * chosen.end_axes, chosen.filters)
        width = self.at + chosen.own_axes + n_shape + 2 * (chosen.end_axes + chosen.filters)
        self.first = nn.Linear(width, chosen.hidden)
        self.last = nn.Linear(chosen.hidden, len(DOMAINS))

    def tables(self) -> list[Any]:
        """The parameters that have a row for each token."""
        return [self.raw_weights, self.own, self.own_ends, self.raw_end_weights]

    def forward(self, rows: list[Any], shape: Any) -> Any:
        mean, own = self.whole(rows)
        means, peaks = self.both_ends(rows)
        rest = self.norm(torch.cat([mean, shape], dim=1))
        u = torch.cat([rest[:, : self.at], own, rest[:, self.at :], means, peaks], dim=1)
        return self.last(self.drop(relu(self.first(self.drop(u)))))

    def whole(self, rows: list[Any]) -> list[Any]:
        flat = torch.from_numpy(np.concatenate(rows).astype(np.int64))
        ends = np.cumsum([len(row) for row in rows])
        offsets = torch.from_numpy(np.r_[0, ends[:-1]].astype(np.int64))
        w = softplus(self.raw_weights[flat])
        sums = torch.cat([torch.zeros(1), w.cumsum(0)])
        mass = (sums[torch.from_numpy(ends)] - sums[offsets]).clamp_min(1e-4)[:, None]
        return [
            embedding_bag(flat, source, offsets, mode="sum", per_sample_weights=w) / mass
            for source in (self.vectors, self.own * _TABLE_SCALE)
        ]

    def both_ends(self, rows: list[Any]) -> tuple[Any, Any]:
        seen = torch.from_numpy(end_windows(rows, self.chosen.window))
        there = (seen >= FIRST_WORD_ID).float()[..., None]
        found = self.project(self.vectors[seen]) + self.own_ends[seen] * _TABLE_SCALE
        found = found * there
        inner = there[:, :, 1:-1]
        w = softplus(self.raw_end_weights)[seen[:, :, 1:-1]][..., None] * inner
        means = (w * found[:, :, 1:-1]).sum(2) / w.sum(2).clamp_min(1e-4)
        beside = torch.cat([found[:, :, :-2], found[:, :, 1:-1], found[:, :, 2:]], dim=3)
        peaks = (relu(self.filters(beside)) * inner).amax(2)
        return means.flatten(1), peaks.flatten(1)

    def fold(self) -> DomainHead:
        with torch.no_grad():
            mean: Any = self.norm.running_mean
            variance: Any = self.norm.running_var
            scale = 1.0 / torch.sqrt(variance + self.norm.eps)
            own, at = self.chosen.own_axes, self.at
            more = self.first.in_features - own - len(mean)
            scale = torch.cat([scale[:at], torch.ones(own), scale[at:], torch.ones(more)])
            mean = torch.cat([mean[:at], torch.zeros(own), mean[at:], torch.zeros(more)])
            w1 = self.first.weight.T * scale[:, None]
            c1 = self.first.bias - mean @ w1
            weights = softplus(self.raw_weights)
            weights[0] = 0.0
            end_weights = softplus(self.raw_end_weights)
            end_weights[:FIRST_WORD_ID] = 0.0
            ends = self.project(self.vectors) + self.own_ends * _TABLE_SCALE
            ends[:FIRST_WORD_ID] = 0.0
            return DomainHead(
                weights=weights.numpy().copy(),
                own=(self.own * _TABLE_SCALE).half().float().numpy().copy(),
                ends=ends.half().float().numpy().copy(),
                end_weights=end_weights.half().float().numpy().copy(),
                filters=self.filters.weight.T.numpy().copy(),
                filter_bias=self.filters.bias.numpy().copy(),
                window=self.chosen.window,
                w1=w1.numpy().copy(),
                c1=c1.numpy().copy(),
                w2=self.last.weight.T.numpy().copy(),
                c2=self.last.bias.numpy().copy(),
            )


def _zeros(table: StaticTable, axes: int) -> nn.Parameter:
    """A row for each token. From zero, so that a token never seen in training says nothing here;
    and not standardised, as zeros have no spread to divide by."""
    return nn.Parameter(torch.zeros(len(table.weights), axes))
