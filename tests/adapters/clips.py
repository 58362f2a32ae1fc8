"""Recorded sentences and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AUDIO = Path(__file__).parents[1] / "data" / "audio"


@dataclass(frozen=True)
class Clip:
    name: str
    text: str

    @property
    def path(self) -> Path:
        return AUDIO / self.name


CLIPS = [Clip(*line.split("\t")) for line in (AUDIO / "texts.tsv").read_text("utf-8").splitlines()]
