"""A chat model of 100 kB: LLaMA's architecture, random weights, a token for each ASCII character.

It writes one random character after the other and never ends of its own accord; what it does
obey is `max_tokens`, `stop`, `seed` and `temperature`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

__all__ = ["count_prompt_tokens", "save_tiny_llama"]

_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_END = "<|end|>"
_SPECIAL = (*_ROLES, _END)
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_WIDTH, _INNER, _LAYERS, _HEADS = 32, 64, 2, 4
_SPREAD = 0.02  # of the weights: so little that all characters are about equally likely


def save_tiny_llama(folder: Path, *, seed: int = 0) -> None:
    """Write the model to `folder` as transformers' `from_pretrained` reads it."""
    folder.mkdir()
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    n_tokens = tokenizer.get_vocab_size()
    end = tokenizer.token_to_id(_END)
    configs = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "float32",
            "vocab_size": n_tokens,
            "hidden_size": _WIDTH,
            "intermediate_size": _INNER,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": _HEADS,
            "max_position_embeddings": 65_536,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": end,
        },
        "generation_config.json": {
            "do_sample": True,
            "top_k": 0,
            "pad_token_id": end,
            "suppress_tokens": [tokenizer.token_to_id(one) for one in _SPECIAL],
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": _END,
            "pad_token": _END,
            "chat_template": _CHAT_TEMPLATE,
        },
    }
    for name, config in configs.items():
        (folder / name).write_text(json.dumps(config), encoding="utf-8")
    weights = dict(_weights(n_tokens, np.random.default_rng(seed)))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def count_prompt_tokens(texts: Sequence[str]) -> int:
    """The tokens of a conversation of ASCII `texts`: characters, two tokens around each text, and
    the one that opens the answer."""
    return sum(len(text) + 2 for text in texts) + 1


def _tokenizer() -> Tokenizer:
    characters = [*map(chr, range(ord("!"), ord("~") + 1)), "Ġ", "Ċ"]  # the last: " " and "\n"
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *characters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer


def _weights(
    n_tokens: int, rng: np.random.Generator
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    def random(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0.0, _SPREAD, shape).astype(np.float32)

    ones = np.ones(_WIDTH, dtype=np.float32)
    yield "model.embed_tokens.weight", random(n_tokens, _WIDTH)
    for layer in range(_LAYERS):
        name = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{name}.self_attn.{part}.weight", random(_WIDTH, _WIDTH)
        yield f"{name}.mlp.gate_proj.weight", random(_INNER, _WIDTH)
        yield f"{name}.mlp.up_proj.weight", random(_INNER, _WIDTH)
        yield f"{name}.mlp.down_proj.weight", random(_WIDTH, _INNER)
        yield f"{name}.input_layernorm.weight", ones
        yield f"{name}.post_attention_layernorm.weight", ones
    yield "model.norm.weight", ones
    yield "lm_head.weight", random(n_tokens, _WIDTH)
