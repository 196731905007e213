"""What to expect of a query before any model is called: domain, success per model, tokens, cost.

Two ONNX graphs do it all. The embedder makes an embedding of token ids; drafts need no more. The
predictor makes domains, item parameters and the success and length of each model of what the
embedder found and of the query's shape. Models are an input (their abilities), so any set of them
is predicted at once and a new one needs no new graph.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .abilities import Abilities, Ability
from .artifact import Artifact, bind_arrays
from .domains import DOMAINS, GENERAL
from .encoder import TokenIds, WordPieceEncoder, pad
from .errors import ArtifactDamagedError, ArtifactForeignError
from .text import SHAPE_FEATURES, Reading, read_query
from .types import Embedding, Prediction, Query

__all__ = ["Predictor"]

_EMBEDDED: Final = ("embedding", "mean", "mean_d", "mass", "mass_d")
_OUTPUTS: Final = ("domains", "p_success", "output_tokens")
_GENERAL_AT: Final = DOMAINS.index(GENERAL)
_MAX_BATCH: Final = 32  # queries in one run of the graph: bounds memory, not what may be asked
_MAX_ROSTERS: Final = 256  # sets of models whose matrices are kept

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class _Roster:
    """A set of models as the graph takes it; the last row is the average model's."""

    names: tuple[str, ...]
    theta: Floats  # [n_models + 1, k + 1]
    verbosity: Floats  # [n_models + 1]


class _OneQuery(threading.local):
    """Both graphs, bound to arrays that each thread makes once, for one query at a time.

    What the methods give are these very arrays: the next run of the thread overwrites them.
    """

    def __init__(self, embedder: Any, session: Any) -> None:
        self._embedder, self._session = embedder, session
        d = embedder.get_outputs()[0].shape[1]
        embedded = _rows(_EMBEDDED, (d, d, d, 1, 1))
        self._embed = bind_arrays(embedder, inputs={}, outputs=embedded)
        self._embedding = embedded.pop("embedding")
        self._inputs = {**embedded, **_rows(("shape",), (len(SHAPE_FEATURES),))}
        self._shape = self._inputs["shape"]
        self._known: dict[tuple[str, ...], tuple[_Roster, Any, list[Floats]]] = {}

    def embed(self, ids: TokenIds) -> Floats:
        """The embedding of one row of ids, float32 [1, d]."""
        self._embed.bind_cpu_input("token_ids", ids)
        self._embedder.run_with_iobinding(self._embed)
        return self._embedding

    def predict(self, ids: TokenIds, shape: Floats, roster: _Roster) -> list[Floats]:
        """As `Predictor._run` for _OUTPUTS, of one row of ids and a shape [n_features]."""
        found = self._known.get(roster.names)
        if found is None or found[0] is not roster:  # its abilities may have changed
            found = self._bind(roster)
        _, binding, outputs = found
        embedding = self.embed(ids)
        self._shape[0] = shape
        binding.bind_cpu_input("token_ids", ids)
        self._session.run_with_iobinding(binding)
        return [embedding, *outputs]

    def _bind(self, roster: _Roster) -> tuple[_Roster, Any, list[Floats]]:
        n = len(roster.verbosity)
        outputs = _rows(_OUTPUTS, (len(DOMAINS), n, n))
        inputs = {**self._inputs, "theta": roster.theta, "verbosity": roster.verbosity}
        binding = bind_arrays(self._session, inputs=inputs, outputs=outputs)
        if len(self._known) >= _MAX_ROSTERS:
            self._known.clear()
        found = self._known[roster.names] = roster, binding, list(outputs.values())
        return found


def _rows(names: Sequence[str], widths: Sequence[int]) -> dict[str, Floats]:
    """An array of one row for each name."""
    pairs = zip(names, widths, strict=True)
    return {name: np.zeros((1, width), np.float32) for name, width in pairs}


class Predictor:
    """Predictions from one artifact. Safe to share between threads; does no I/O once made.

    Raises ArtifactDamagedError or ArtifactForeignError when the graph, the abilities and this
    code do not belong together, or when the golden texts are read otherwise than at export.
    """

    def __init__(self, artifact: Artifact, *, abilities: Abilities | None = None) -> None:
        self.artifact = artifact
        self.abilities = abilities or Abilities.from_artifact(artifact)
        self._embedder = artifact.session("embedder")
        self._session = artifact.session("predictor")
        self._encoder = WordPieceEncoder.from_file(artifact.path("tokenizer.json"))
        about = self._session.get_modelmeta().custom_metadata_map
        self._check(about)
        self.abstain_below = float(about["abstain_below"])
        self._rosters: dict[tuple[str, ...], _Roster] = {}
        self._lock = threading.Lock()
        self._one_query = _OneQuery(self._embedder, self._session)
        self._all = self._roster(self.abilities.names)
        self._one = self._roster(self.abilities.names[:1])
        self._replay_texts()

    def predict(self, query: Query, models: Sequence[str] | None = None) -> Prediction:
        """The prediction for one query; `models` are names of any kind, by default all shipped."""
        reading = read_query(query)
        ids, n_ids = self._encoder.encode_counted(reading)
        roster = self._all if models is None else self._roster(tuple(models))
        outputs = self._one_query.predict(pad([ids]), reading.shape, roster)
        return self._prediction(outputs, 0, reading, n_ids, roster)

    def embed_texts(self, texts: Sequence[str]) -> list[Embedding | None]:
        """The embeddings of some drafts (float32 [d], unit norm), None for an empty text."""
        given = [index for index, text in enumerate(texts) if text]
        embeddings: list[Embedding | None] = [None] * len(texts)
        if len(given) == 1:
            ids = self._encoder.encode_text(texts[given[0]])
            embeddings[given[0]] = self._one_query.embed(pad([ids]))[0].copy()
        elif given:
            rows = [self._encoder.encode_text(texts[index]) for index in given]
            (found,) = self._embedder.run(("embedding",), {"token_ids": pad(rows)})
            for row, index in enumerate(given):
                embeddings[index] = found[row]
        return embeddings

    def predict_many(
        self, queries: Sequence[Query], models: Sequence[str] | None = None
    ) -> list[Prediction]:
        """Predictions for several queries, in their order."""
        roster = self._all if models is None else self._roster(tuple(models))
        predictions: list[Prediction] = []
        for start in range(0, len(queries), _MAX_BATCH):
            readings = [read_query(query) for query in queries[start : start + _MAX_BATCH]]
            counted = [self._encoder.encode_counted(reading) for reading in readings]
            shapes = np.stack([reading.shape for reading in readings])
            outputs = self._run(_OUTPUTS, pad([ids for ids, _ in counted]), shapes, roster)
            predictions.extend(
                self._prediction(outputs, i, reading, counted[i][1], roster)
                for i, reading in enumerate(readings)
            )
        return predictions

    def embed(self, texts: Sequence[str]) -> Embedding:
        """Embeddings of texts, float32 [n, d], unit norm; each is read as a user message is."""
        parts: list[Embedding] = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), _MAX_BATCH):
            queries = map(Query.from_prompt, texts[start : start + _MAX_BATCH])
            rows = [self._encoder.encode_reading(read_query(query)) for query in queries]
            parts.extend(self._embedder.run(("embedding",), {"token_ids": pad(rows)}))
        return np.concatenate(parts)

    def item_features(self, queries: Sequence[Query]) -> tuple[Floats, Floats]:
        """a(q), float32 [n, k], and difficulty b(q), float32 [n]: what `fit_ability` takes."""
        k = len(self._one.theta[0]) - 1
        parts: list[Floats] = [np.zeros((0, k + 1), dtype=np.float32)]
        for start in range(0, len(queries), _MAX_BATCH):
            readings = [read_query(query) for query in queries[start : start + _MAX_BATCH]]
            rows = [self._encoder.encode_reading(reading) for reading in readings]
            shapes = np.stack([reading.shape for reading in readings])
            parts.append(self._run(("item",), pad(rows), shapes, self._one)[1])
        item = np.concatenate(parts)
        return item[:, :k], item[:, k]

    def add_ability(self, ability: Ability) -> None:
        """Use `ability` for its name from now on, e.g. one fitted from logged outcomes."""
        known = {**self.abilities.known, ability.name: ability}
        with self._lock:
            self.abilities = Abilities(
                known=known,
                aliases=self.abilities.aliases,
                weights=self.abilities.weights,
                covariance=self.abilities.covariance,
                _plain=self.abilities._plain,
            )
            self._rosters.clear()
        self._all = self._roster(self.abilities.names)

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return int(self._embedder.get_outputs()[0].shape[1])

    def _roster(self, names: tuple[str, ...]) -> _Roster:
        found = self._rosters.get(names)
        if found is None:
            abilities = [self.abilities.get(name) for name in names]
            average = np.mean([a.vector for a in self.abilities.known.values()], axis=0)
            found = _Roster(
                names=names,
                theta=np.array([*(a.vector for a in abilities), average], np.float32),
                verbosity=np.array([*(a.verbosity for a in abilities), 0.0], np.float32),
            )
            with self._lock:
                if len(self._rosters) >= _MAX_ROSTERS:
                    self._rosters.clear()
                self._rosters[names] = found
        return found

    def _run(
        self, outputs: Sequence[str], ids: TokenIds, shapes: Floats, roster: _Roster
    ) -> list[Any]:
        """The embedding, then `outputs` of the predictor."""
        embedding, *pooled = self._embedder.run(_EMBEDDED, {"token_ids": ids})
        feeds = dict(zip(_EMBEDDED[1:], pooled, strict=True))
        feeds["token_ids"] = ids
        feeds["shape"] = shapes
        feeds["theta"] = roster.theta
        feeds["verbosity"] = roster.verbosity
        return [embedding, *self._session.run(outputs, feeds)]

    def _prediction(
        self, outputs: list[Any], row: int, reading: Reading, n_ids: int, roster: _Roster
    ) -> Prediction:
        embedding, domains, p_success, output_tokens = outputs
        shares = domains[row].tolist()
        best = shares.index(max(shares))
        if shares[best] < self.abstain_below:
            best = _GENERAL_AT
        *successes, p_typical = p_success[row].tolist()
        read = len(reading.user) + len(reading.system) + len(reading.earlier)
        return Prediction(
            domain=DOMAINS[best],
            domain_confidence=shares[best],
            domains=dict(zip(DOMAINS, shares, strict=True)),
            p_success=dict(zip(roster.names, successes, strict=True)),
            p_typical=p_typical,
            output_tokens=dict(zip(roster.names, output_tokens[row, :-1].tolist(), strict=True)),
            # What was not read costs the provider's tokens all the same.
            input_tokens=n_ids * max(1.0, reading.total_chars / max(read, 1)),
            embedding=embedding[row].copy(),
            artifact=self.artifact.version,
        )

    def _check(self, about: dict[str, str]) -> None:
        """Whether the graph was made for this code's domains and shape features."""
        where = self.artifact.path("predictor.onnx")
        for key, expected in (("domains", list(DOMAINS)), ("shape", list(SHAPE_FEATURES))):
            if json.loads(about.get(key, "null")) != expected:
                raise ArtifactForeignError(
                    f"{where} was made for other {key} than this Sluice has; use the version that "
                    "exported it, or export it again"
                )
        width = self._session.get_outputs()[-1].shape[1]
        wide = {len(ability.theta) + 1 for ability in self.abilities.known.values()}
        if wide != {width}:
            raise ArtifactDamagedError(
                f"{where} has items of width {width}, abilities.json abilities of {sorted(wide)}; "
                "export the artifact again"
            )

    def _replay_texts(self) -> None:
        """The golden texts must give the token ids and shapes they gave at export."""
        golden = self.artifact.read_arrays("golden.npz")
        readings = [read_query(Query.from_prompt(text)) for text in golden["texts"].tolist()]
        ids = pad([self._encoder.encode_reading(reading) for reading in readings])
        same_ids = np.array_equal(ids, golden["predictor.in.token_ids"])
        shapes = np.stack([reading.shape for reading in readings])
        if not same_ids or not np.allclose(shapes, golden["predictor.in.shape"], atol=1e-5):
            raise ArtifactDamagedError(
                f"the golden texts of {self.artifact.root} are not read as they were at export "
                "(tokenizer.json or the reading code differs); export the artifact again"
            )
