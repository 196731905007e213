"""How the rows of public data sets become outcome rows: one function per column layout.

Each takes rows (dicts) and yields outcome records; a row it cannot use yields nothing, which
the loader counts. Layouts are those of the data sets' cards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

__all__ = [
    "Record",
    "arena_pairs",
    "embedllm",
    "mt_bench",
    "routellm",
    "routerbench",
    "ultrafeedback",
]

Record = dict[str, Any]
Rows = Iterable[Mapping[str, Any]]


def _prompt_key(prompt: str) -> str:
    """An id for sets that have none: a hash of the prompt."""
    return blake2b(prompt.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def embedllm(rows: Rows) -> Iterator[Record]:
    """One row per prompt and model, label 0 or 1; an answer's text is not published."""
    for row in rows:
        yield {
            "source": f"embedllm-{row['category']}",
            "prompt_id": str(row["prompt_id"]),
            "prompt": row["prompt"],
            "native_category": row["category"],
            "model": row["model_name"],
            "correct": bool(row["label"]),
        }


def routellm(rows: Rows) -> Iterator[Record]:
    """GPT-4's score 1..5 of Mixtral's reply; its own reply is the reference, 1 by definition."""
    for row in rows:
        shared = {
            "source": "routellm-gpt4-judge",
            "prompt_id": _prompt_key(row["prompt"]),
            "prompt": row["prompt"],
            "native_category": ", ".join(row["source"] or ()),
            "score_kind": "GPT-4 judge 1-5 against its own reply, rescaled to 0-1",
        }
        yield shared | {
            "model": "mixtral-8x7b-instruct-v0.1",
            "response": row["mixtral_response"],
            "score": (float(row["mixtral_score"]) - 1) / 4,
        }
        yield shared | {
            "model": "gpt-4-1106-preview",
            "response": row["gpt4_response"],
            "score": 1.0,
            "note": "reference reply: 1 by definition, not judged",
        }


def ultrafeedback(rows: Rows) -> Iterator[Record]:
    """Four models' replies to a prompt, each scored 1..10 by GPT-4."""
    for row in rows:
        for reply in row["completions"]:
            yield {
                "source": f"ultrafeedback-{row['source']}",
                "prompt_id": _prompt_key(row["instruction"]),
                "prompt": row["instruction"],
                "model": reply["model"],
                "response": reply["response"],
                "score": (float(reply["overall_score"]) - 1) / 9,
                "score_kind": "GPT-4 judge 1-10, rescaled to 0-1",
            }


def mt_bench(rows: Rows) -> Iterator[Record]:
    """People's votes on first turns; a model's score is its mean over all votes on a question."""
    votes: dict[tuple[str, str], list[float]] = {}
    records: dict[tuple[str, str], Record] = {}
    for row in rows:
        if row["turn"] != 1:
            continue
        for side in ("a", "b"):
            question, reply = row[f"conversation_{side}"][:2]
            key = (str(row["question_id"]), row[f"model_{side}"])
            won = row["winner"] == f"model_{side}"
            votes.setdefault(key, []).append(1.0 if won else 0.5 * ("tie" in row["winner"]))
            records.setdefault(
                key,
                {
                    "source": "mt-bench-human",
                    "prompt_id": key[0],
                    "prompt": question["content"],
                    "model": key[1],
                    "response": reply["content"],
                    "score_kind": "share of human votes won against other models, a tie is half",
                },
            )
    for key, record in records.items():
        n_votes = len(votes[key])
        yield record | {"score": sum(votes[key]) / n_votes, "note": f"votes={n_votes}"}


def arena_pairs(rows: Rows) -> Iterator[Record]:
    """Chatbot Arena battles of one turn: the winner scores 1, the loser 0, a tie a half each."""
    for row in rows:
        prompts = json.loads(row["prompt"])
        if len(prompts) != 1 or row["model_a"] == row["model_b"]:
            continue
        for side in ("a", "b"):
            reply = json.loads(row[f"response_{side}"])[0]
            if prompts[0] and reply:
                yield {
                    "source": "arena-55k",
                    "prompt_id": str(row["id"]),
                    "prompt": prompts[0],
                    "model": row[f"model_{side}"],
                    "response": reply,
                    "score": row[f"winner_model_{side}"] + 0.5 * row["winner_tie"],
                    "score_kind": "human vote in one battle: won 1, tie 0.5, lost 0",
                }


def routerbench(rows: Rows) -> Iterator[Record]:
    """A wide table: a column of scores per model, and model|total_cost, model|model_response."""
    for row in rows:
        models = [name.removesuffix("|total_cost") for name in row if name.endswith("|total_cost")]
        for model in models:
            if row.get(model) is not None:
                yield {
                    "source": f"routerbench-{row['eval_name']}",
                    "prompt_id": str(row["sample_id"]),
                    "prompt": row["prompt"],
                    "native_category": row["eval_name"],
                    "model": model,
                    "response": row.get(f"{model}|model_response"),
                    "score": float(row[model]),
                    "score_kind": "RouterBench label, 0-1",
                    "cost_usd": float(row[f"{model}|total_cost"]),
                }
