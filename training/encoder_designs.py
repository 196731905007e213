"""Encoders compared with the shipped one: a small contextual one, and the teacher itself."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router.domains import DOMAINS
from router.text import bound

from .predictor_data import PromptTexts
from .vocabulary import StaticTable, teacher_folder

__all__ = ["ContextEncoder", "embed_with_teacher", "fit_context", "quantised_teacher"]

Floats = npt.NDArray[np.float32]
TEACHER_TOKENS = 128
_CHUNK = 1000


@dataclass(frozen=True, kw_only=True)
class ContextEncoder:
    """Mean of relu(convolution of width 3 over projected token vectors), float32 [n, c].

    `table` [V, c] is the projection of the static vectors, `kernel` [c, c, 3].
    """

    table: Floats
    kernel: Floats
    bias: Floats

    def pool(self, texts: PromptTexts) -> Floats:
        import torch
        from torch.nn.functional import conv1d, relu

        kernel, bias = torch.tensor(self.kernel), torch.tensor(self.bias)
        out = np.zeros((len(texts), len(self.bias)), dtype=np.float32)
        with torch.inference_mode():
            for row, ids in enumerate(texts.ids):
                tokens = torch.from_numpy(self.table[ids].T[None])
                out[row] = relu(conv1d(tokens, kernel, bias, padding=1)).mean(dim=2)[0].numpy()
        return out

    def graph(self) -> bytes:
        """The same as ONNX, token_ids int64 [batch, length] to [batch, c], for timing."""
        from onnx import TensorProto, helper, numpy_helper

        constants = [
            numpy_helper.from_array(value, name)
            for name, value in (("table", self.table), ("kernel", self.kernel), ("bias", self.bias))
        ]
        nodes = [
            helper.make_node("Gather", ["table", "token_ids"], ["rows"]),
            helper.make_node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
            helper.make_node("Conv", ["columns", "kernel", "bias"], ["raw"], pads=[1, 1]),
            helper.make_node("Relu", ["raw"], ["active"]),
            helper.make_node("ReduceMean", ["active"], ["pooled"], axes=[2], keepdims=0),
        ]
        ids = helper.make_tensor_value_info("token_ids", TensorProto.INT64, ["batch", "length"])
        width = len(self.bias)
        pooled = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["batch", width])
        model = helper.make_model(
            helper.make_graph(nodes, "context", [ids], [pooled], initializer=constants),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=9,
        )
        return bytes(model.SerializeToString(deterministic=True))


def fit_context(
    texts: PromptTexts,
    labels: npt.NDArray[np.int64],
    weights: Floats,
    table: StaticTable,
    *,
    width: int = 48,
    epochs: int = 2,
    seed: int = 0,
) -> ContextEncoder:
    """Train the convolution on the domains; the static vectors stay as they are."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy, embedding, relu

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vectors = torch.tensor(table.vectors)
    project = nn.Linear(vectors.shape[1], width, bias=False)
    conv = nn.Conv1d(width, width, 3, padding=1)
    last = nn.Linear(width, len(DOMAINS))
    parameters = [*project.parameters(), *conv.parameters(), *last.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-3)
    targets, importance = torch.tensor(labels), torch.tensor(weights)
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            length = min(max(len(texts.ids[i]) for i in rows), 128)
            ids = np.zeros((len(rows), length), dtype=np.int64)
            for at, i in enumerate(rows):
                own = texts.ids[i][:length]
                ids[at, : len(own)] = own
            mask = torch.tensor(ids != 0).float()[:, None]
            tokens = project(embedding(torch.tensor(ids), vectors)).transpose(1, 2) * mask
            pooled = (relu(conv(tokens)) * mask).sum(dim=2) / mask.sum(dim=2).clamp_min(1.0)
            loss = cross_entropy(last(pooled), targets[rows], reduction="none")
            optimizer.zero_grad()
            (loss * importance[rows]).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        return ContextEncoder(
            table=(vectors @ project.weight.T).numpy().copy(),
            kernel=conv.weight.numpy().copy(),
            bias=conv.bias.numpy().copy() if conv.bias is not None else np.zeros(width, np.float32),
        )


def embed_with_teacher(
    texts: Sequence[str], *, cache: Path, say: Callable[[str], None] = lambda _: None
) -> Floats:
    """The teacher's own embeddings, float32 [n, 384], TEACHER_TOKENS read; resumable by chunk."""
    cache.mkdir(parents=True, exist_ok=True)
    model: Any = None
    parts = []
    for start in range(0, len(texts), _CHUNK):
        chunk = [bound(text) for text in texts[start : start + _CHUNK]]
        digest = hashlib.sha256("\0".join(chunk).encode("utf-8", "replace")).hexdigest()[:16]
        kept = cache / f"teacher-{TEACHER_TOKENS}-{digest}.npy"
        if not kept.is_file():
            if model is None:
                from sentence_transformers import SentenceTransformer

                model = SentenceTransformer(str(teacher_folder()), device="cpu")
                model.max_seq_length = TEACHER_TOKENS
            say(f"teacher: {start} of {len(texts)}")
            np.save(kept, model.encode(chunk, batch_size=32, show_progress_bar=False))
        parts.append(np.load(kept))
    return np.concatenate(parts).astype(np.float32)


def quantised_teacher() -> bytes:
    """The teacher as an int8 ONNX graph (onnxruntime's dynamic quantisation)."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(teacher_folder()), attn_implementation="eager").eval()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return found.last_hidden_state.mean(dim=1)

    ids = torch.ones(1, 16, dtype=torch.int64)
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "teacher.onnx", Path(folder) / "teacher8.onnx"
        torch.onnx.export(
            Pooled().eval(),
            (ids, torch.ones_like(ids)),
            str(plain),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": {1: "length"}, "attention_mask": {1: "length"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(plain, small, weight_type=QuantType.QInt8)
        return small.read_bytes()
