"""One Whisper model on CTranslate2: sound in, words out. Blocking; call it from a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adapters.stt.guards import is_made_up, without_loops
from adapters.stt.mel import RATE, log_mel
from voicemesh.errors import MissingModel

if TYPE_CHECKING:
    from pathlib import Path

    from voicemesh.audio import Samples

WINDOW_SECONDS = 10.0
"""Whisper was trained on 30 s windows; a third is several times faster and no less exact, but with
less the decoder loops."""
MARGIN_SECONDS = 0.6
LONGEST_SECONDS = 30.0
SHORTEST_SECONDS = 0.1
QUIETEST = 30
"""Peak of a 16-bit signal below which there is nothing to hear."""

_SPARE_TOKENS, _TOKENS_PER_SECOND = 12, 9
_FRAME_PAIR = 320


class Decoder:
    """Weights of one model, shared by all who decode with it."""

    def __init__(self, folder: Path, *, threads: int, workers: int = 1) -> None:
        try:
            import ctranslate2
            import tokenizers
        except ImportError as error:
            raise MissingModel(error.name or "ctranslate2", "whisper") from error
        self._storage = ctranslate2.StorageView.from_array
        self._model: Any = ctranslate2.models.Whisper(
            str(folder),
            device="cpu",
            compute_type="int8",
            intra_threads=threads,
            inter_threads=workers,
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._end = self._token("<|endoftext|>")

    def knows(self, language: str) -> bool:
        """Tell whether it understands the language, a BCP-47 tag."""
        primary = _primary(language)
        if not self._model.is_multilingual:
            return primary == "en"
        return self._tokenizer.token_to_id(f"<|{primary}|>") is not None

    def words(self, sound: Samples, *, beam: int, language: str = "en") -> str:
        """Return what is said in 16 kHz sound; nothing where nothing is."""
        sound = sound[: int(LONGEST_SECONDS * RATE)]
        seconds = sound.size / RATE
        if seconds < SHORTEST_SECONDS or np.abs(sound, dtype=np.float32).max() < QUIETEST:
            return ""
        prompt = self._prompt(language)
        result = self._model.generate(
            self._storage(_features(sound)),
            [prompt],
            beam_size=beam,
            max_length=len(prompt) + _SPARE_TOKENS + int(_TOKENS_PER_SECOND * seconds),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < self._end]
        text = self._tokenizer.decode(tokens).strip()
        if is_made_up(text, result.scores[0], result.no_speech_prob):
            return ""
        return without_loops(text, seconds)

    def _prompt(self, language: str) -> list[int]:
        names = ["<|startoftranscript|>"]
        if self._model.is_multilingual:
            names += [f"<|{_primary(language)}|>", "<|transcribe|>"]
        return [self._token(name) for name in (*names, "<|notimestamps|>")]

    def _token(self, name: str) -> int:
        return int(self._tokenizer.token_to_id(name) or 0)


def _primary(language: str) -> str:
    return language.split("-")[0].lower()


def _features(sound: Samples) -> Any:  # noqa: ANN401 - CTranslate2 has no types
    seconds = max(WINDOW_SECONDS, sound.size / RATE + MARGIN_SECONDS)
    samples = int(min(LONGEST_SECONDS, seconds) * RATE) // _FRAME_PAIR * _FRAME_PAIR
    return log_mel((sound / 32768).astype(np.float32)[:samples], samples)[None]
