"""What the results add up to: word error rate by voice and in all, and how fast the words came."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from voicemesh.client.record import percentiles
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicemesh.evaluation.speech import ClipResult


@dataclass(frozen=True, slots=True)
class Score:
    """The words of some clips, counted."""

    words: int
    """Words that were said."""
    substituted: int
    """Words understood as others."""
    deleted: int
    """Words not understood."""
    inserted: int
    """Words understood that nobody said."""

    @property
    def wer(self) -> float:
        """Word error rate: errors for each word said."""
        return (self.substituted + self.deleted + self.inserted) / max(self.words, 1)


def score(results: Sequence[ClipResult], normalise: Callable[[str], str]) -> dict[str, Any]:
    """Return the whole evaluation as JSON: total, by voice, latency, every clip."""
    voices = sorted({result.clip.voice for result in results})
    latencies = [result.latency for result in results if result.latency is not None]
    return {
        "clips": len(results),
        "total": _score_json(count(results, normalise)),
        "voices": {
            voice: _score_json(count([r for r in results if r.clip.voice == voice], normalise))
            for voice in voices
        },
        "latency": percentiles(latencies),
        "failed": sum(bool(result.error) for result in results),
        "results": [_result_json(result, normalise) for result in results],
    }


def count(results: Sequence[ClipResult], normalise: Callable[[str], str]) -> Score:
    """Count the words of some results."""
    try:
        jiwer = import_module("jiwer")
    except ModuleNotFoundError as error:
        raise Misconfigured(
            "word error rate needs jiwer: run `pip install 'voicemesh[report]'`", package="jiwer"
        ) from error
    if not results:
        return Score(0, 0, 0, 0)
    said = [normalise(result.clip.text) for result in results]
    understood = [normalise(result.text) for result in results]
    counted = jiwer.process_words(said, understood)
    words = counted.hits + counted.substitutions + counted.deletions
    return Score(words, counted.substitutions, counted.deletions, counted.insertions)


def _score_json(counted: Score) -> dict[str, Any]:
    return {
        "wer_percent": round(100 * counted.wer, 2),
        "words": counted.words,
        "substituted": counted.substituted,
        "deleted": counted.deleted,
        "inserted": counted.inserted,
    }


def _result_json(result: ClipResult, normalise: Callable[[str], str]) -> dict[str, Any]:
    said, understood = normalise(result.clip.text), normalise(result.text)
    return {
        "clip": result.clip.path.name,
        "voice": result.clip.voice,
        "said": said,
        "understood": understood,
        "transcript": result.text,
        "right": said == understood,
        "finals": result.finals,
        "latency_ms": None if result.latency is None else round(result.latency * 1000, 1),
        "error": result.error,
    }
