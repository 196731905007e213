"""`python -m training.compare_encoders`: encoder designs side by side, quality beside latency.

Writes docs/encoders.md and docs/encoders.csv. Every design gets the same heads on the same rows;
only what stands for the text differs. Resumable: teacher embeddings are kept under --work.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS

from .aliases import read_aliases
from .domain_data import training_texts
from .domain_head import DomainSettings
from .domain_texts import DomainTexts, read_domain_texts
from .encoder_designs import embed_with_teacher, fit_context, quantised_teacher
from .encoder_timing import TIMED_CHARS, time_static, time_teacher
from .fit_domain import balance, fit_domain
from .measure_predictor import pair_apgr
from .metrics import macro_f1
from .outcomes import read_outcomes
from .predictor_data import PredictorData, authors_labels, collect, pool, read_texts
from .success_head import SuccessSettings, fit_success
from .vocabulary import StaticTable, distil_vocabulary

__all__ = ["Row", "compare", "write_tables"]

Floats = npt.NDArray[np.float32]
Say = Callable[[str], None]
_PAIR = {"weak": "mixtral-8x7b", "strong": "gpt-4-1106"}
_TEACHER_TEXTS = 4_000  # labelled texts that the teacher's domain head is trained on
_FOLDS, _SEED = 5, 20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One design's line: qualities, latencies (p50, p99 in ms at TIMED_CHARS), size in MB."""

    design: str
    domain_f1: float
    chat_f1: float
    apgr_mmlu: float
    apgr_gsm8k: float
    latency_ms: tuple[tuple[float, float], ...]
    size_mb: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class _Bench:
    data: PredictorData
    labels: Floats  # the authors' own
    table: StaticTable
    texts: DomainTexts
    work: Path
    say: Say

    def pair_rows(self) -> npt.NDArray[np.bool_]:
        """Rows on prompts of RouteLLM's files, the only ones that the teacher can be run on."""
        routellm = np.char.startswith(self.data.sources.astype(str), "routellm")
        prompts = np.unique(self.data.row_prompt[routellm])
        return np.isin(self.data.row_prompt, prompts)

    def apgr(self, pooled: tuple[Floats, Floats], keep: npt.NDArray[np.bool_]) -> list[float]:
        """Cross-fitted APGR on MMLU and GSM8K of a success head on `pooled`."""
        data = self.data
        axes = min(32, pooled[0].shape[1])
        chosen = replace(SuccessSettings(), local_axes=axes)
        fold = data.folds(_FOLDS, _SEED)[data.row_prompt]
        p = np.full(len(fold), np.nan, dtype=np.float32)
        measured = np.char.startswith(data.sources.astype(str), "routellm")
        for number in range(_FOLDS):
            at = fold == number
            rows = data.trainable & keep & ~at
            head = fit_success(data, pooled, rows, chosen, self.labels)
            items = head.features.items(*pooled, data.texts.shape)
            own = np.flatnonzero(at & measured)
            item, model = items[data.row_prompt[own]], data.row_model[own]
            logit = np.einsum("nk,nk->n", item[:, :-1], head.theta[model])
            logit = logit - item[:, -1] + head.bias[model]
            p[own] = 0.5 * (1.0 + np.tanh(0.5 * logit))
        return [
            pair_apgr(data, p, self.labels, source=source, **_PAIR)["apgr"]
            for source in ("routellm-mmlu", "routellm-gsm8k")
        ]


def compare(
    paths: Sequence[Path], domain_path: Path, aliases: Path, work: Path, say: Say
) -> list[Row]:
    """All designs, in the order of the table."""
    table = distil_vocabulary(cache=work)
    outcomes = read_outcomes(paths, revised_prompts="rename")
    outcomes = outcomes.filter((outcomes.labels == 0.0) | (outcomes.labels == 1.0))
    data = collect(outcomes, table, aliases=read_aliases(aliases), cache=work)
    bench = _Bench(
        data=data,
        labels=authors_labels(outcomes).astype(np.float32),
        table=table,
        texts=read_domain_texts(domain_path),
        work=work,
        say=say,
    )
    return [*_kept(work / "encoder-rows.json", bench), _teacher_row(bench)]


def _kept(path: Path, bench: _Bench) -> list[Row]:
    """The static rows, from `path` where an interrupted run left them; delete it to start anew."""
    if path.is_file():
        return [
            Row(**{**row, "latency_ms": tuple(map(tuple, row["latency_ms"]))})
            for row in json.loads(path.read_text(encoding="utf-8"))
        ]
    rows = _static_rows(bench)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return rows


def _static_rows(bench: _Bench) -> list[Row]:
    table, data = bench.table, bench.data
    pair = bench.pair_rows()
    train = training_texts(bench.texts, table, cache=bench.work)
    held = _held_out(bench.texts)
    read = {name: read_texts(texts, table, cache=bench.work) for name, (texts, _) in held.items()}
    latency = time_static(table, ())
    size = (table.rows.size + 4 * len(table.weights) * 4 + len(table.tokenizer)) / 1e6
    rows = []

    bench.say("static, distilled")
    frozen = fit_domain(
        train.views, train.labels, train.weights, table,
        DomainSettings(own_axes=1, table_rate=0.0),
    )  # fmt: skip
    scores = [macro_of(frozen.logits(read[name], table), held[name][1]) for name in held]
    pooled = pool(data.texts, table)
    values = bench.apgr(pooled, pair)
    rows.append(_row("static, distilled, frozen", scores, values, latency, size))

    bench.say("static, fine-tuned")
    tuned = fit_domain(train.views, train.labels, train.weights, table)
    scores = [macro_of(tuned.logits(read[name], table), held[name][1]) for name in held]
    reweighted = pool(data.texts, replace(table, weights=tuned.weights))
    size_tuned = size + tuned.own.size * 4 / 1e6
    rows.append(
        _row("static, fine-tuned, learned weights", scores, bench.apgr(reweighted, pair),
             latency, size_tuned, note="learned weights for success as well")
    )  # fmt: skip
    rows.append(
        _row("two poolings: frozen + fine-tuned (ships)", scores, values, latency, size_tuned)
    )
    everything = bench.apgr(pooled, np.ones(len(data.row_prompt), dtype=bool))
    rows.append(
        _row("the same, success head on every source", scores, everything, latency, size_tuned)
    )

    bench.say("contextual")
    context = fit_context(train.views[0], train.labels, train.weights, table)
    ctx_train = [replace(view, shape=_beside(view, context)) for view in train.views]
    head = fit_domain(ctx_train, train.labels, train.weights, table)
    scores = [
        macro_of(
            head.logits(replace(read[name], shape=_beside(read[name], context)), table),
            held[name][1],
        )
        for name in held
    ]
    extra = context.pool(data.texts)
    mean = np.hstack([pooled[0], extra * (pooled[0].std() / max(float(extra.std()), 1e-6))])
    rows.append(
        _row("static + convolution of width 3", scores,
             bench.apgr((mean.astype(np.float32), pooled[1]), pair),
             time_static(table, (context.graph(),)), size_tuned + context.table.size * 4 / 1e6)
    )  # fmt: skip
    return rows


def _beside(texts: Any, context: Any) -> Floats:
    return np.hstack([texts.shape, context.pool(texts)]).astype(np.float32)


def _row(
    design: str,
    scores: Sequence[float],
    apgrs: Sequence[float],
    latency: Sequence[tuple[float, float]],
    size: float,
    note: str = "",
) -> Row:
    return Row(
        design=design,
        domain_f1=scores[0],
        chat_f1=scores[1],
        apgr_mmlu=apgrs[0],
        apgr_gsm8k=apgrs[1],
        latency_ms=tuple(latency),
        size_mb=size,
        note=note,
    )


def _teacher_row(bench: _Bench) -> Row:
    """MiniLM: its embeddings (in float32) under the same heads, its int8 graph's latency."""
    data = bench.data
    keep = bench.pair_rows()
    prompts = np.unique(data.row_prompt[keep & data.trainable])
    folder = bench.work / "teacher"
    found = embed_with_teacher([data.prompts[i] for i in prompts], cache=folder, say=bench.say)
    unit = float(found.std())
    mean = np.zeros((len(data.prompts), found.shape[1]), dtype=np.float32)
    mean[prompts] = found / unit
    mass = pool(data.texts, bench.table)[1]
    values = bench.apgr((mean, mass), keep)
    split, free = bench.texts.column("split"), bench.texts.column("train_ok").astype(bool)
    chosen = np.flatnonzero(free & (split == "train"))
    chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:_TEACHER_TEXTS])
    words, domains, sources = (bench.texts.column(n) for n in ("text", "domain", "source"))
    y = np.array([DOMAINS.index(d) for d in domains[chosen]], dtype=np.int64)
    weights = balance(y, sources[chosen].tolist())
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=10.0 / len(y) * 1000, max_iter=1000)
    head.fit(embed_with_teacher(words[chosen].tolist(), cache=folder, say=bench.say), y, weights)
    scores = []
    for texts, labels in _held_out(bench.texts).values():
        logits = np.full((len(texts), len(DOMAINS)), -1e9)
        logits[:, head.classes_] = head.decision_function(
            embed_with_teacher(texts, cache=folder, say=bench.say)
        )
        scores.append(macro_of(logits, labels))
    graph = quantised_teacher()
    return _row(
        "all-MiniLM-L6-v2, int8 (reference)", scores, values, time_teacher(graph, bench.table),
        len(graph) / 1e6,
        note=f"domain head on {len(y)} labelled texts; 128 tokens read",
    )  # fmt: skip


def _held_out(texts: DomainTexts) -> dict[str, tuple[list[str], list[str]]]:
    """ "labelled": the val side that is free to train; "chat": arena-hard-v2, real chat."""
    chat = texts.column("source") == "arena-hard-v2"
    free = texts.column("train_ok").astype(bool) & (texts.column("split") == "val") & ~chat
    words, domains = texts.column("text"), texts.column("domain")
    return {
        name: (words[at].tolist(), domains[at].tolist())
        for name, at in (("labelled", free), ("chat", chat))
    }


def macro_of(logits: Any, labels: Sequence[str]) -> float:
    """Macro-F1 over the domains that occur in `labels`, the guess being any of the ten."""
    guesses = [DOMAINS[i] for i in logits.argmax(axis=1)]
    return macro_f1(labels, guesses, [d for d in DOMAINS if d in set(labels)])


def write_tables(rows: Sequence[Row], folder: Path) -> None:
    """encoders.csv and encoders.md."""
    columns = ["design", "domain macro-F1", "real-chat macro-F1", "APGR MMLU", "APGR GSM8K"]
    columns += [f"p50 / p99 ms, {length:,} chars" for length in TIMED_CHARS] + ["MB", "note"]
    cells = [
        [
            row.design,
            *(f"{v:.3f}" for v in (row.domain_f1, row.chat_f1, row.apgr_mmlu, row.apgr_gsm8k)),
            *(f"{p50:.2f} / {p99:.2f}" for p50, p99 in row.latency_ms),
            f"{row.size_mb:.1f}",
            row.note,
        ]
        for row in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "encoders.csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([columns, *cells])
    lines = ["| " + " | ".join(line) + " |" for line in [columns, ["---"] * len(columns), *cells]]
    text = (
        "# Encoders compared\n\nMade by `python -m training.compare_encoders`. Domains: held-out "
        "labelled texts that are free to train on, and arena-hard-v2 (real chat in many languages, "
        "three of the ten labels). APGR: RouteLLM's pair, five folds by question, the authors' own "
        "labels; success heads see the prompts of RouteLLM's files only, except where the line "
        "says otherwise; the domain head reads both ends of a message by themselves in every "
        "design but the reference. Latency: one thread, reading and tokenising included, heads "
        "left out."
        "\n\n"
    )
    (folder / "encoders.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    import logging

    import torch

    parser = argparse.ArgumentParser(
        prog="python -m training.compare_encoders", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of outcome files")
    parser.add_argument("--work", type=Path, default=Path(".work"), help="folder for what is kept")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the tables")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    logging.basicConfig(format="%(message)s")
    logging.getLogger(__name__).setLevel(logging.INFO)
    say = logging.getLogger(__name__).info
    files = sorted(given.data.glob("outcomes*.parquet"))
    rows = compare(
        files, given.data / "domain.parquet", given.data / "model_aliases.json", given.work, say
    )
    write_tables(rows, given.out)


if __name__ == "__main__":
    main()
