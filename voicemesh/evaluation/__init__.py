"""Measures a running mesh by what a caller gets from it."""

from voicemesh.evaluation.clips import Clip, load_clips
from voicemesh.evaluation.score import Score, score
from voicemesh.evaluation.speech import ClipResult, evaluate
from voicemesh.evaluation.words import Normaliser

__all__ = ["Clip", "ClipResult", "Normaliser", "Score", "evaluate", "load_clips", "score"]
