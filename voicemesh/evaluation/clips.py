"""A folder of spoken sentences: `sentences.tsv` (id, tab, text) and `<voice>_<id>_16k.wav`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicemesh.errors import InvalidInput, Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = "sentences.tsv"
_SUFFIX = "_16k.wav"


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence, spoken by one voice."""

    path: Path
    """The recording."""
    voice: str
    """Who speaks."""
    sentence: str
    """Identity of the sentence."""
    text: str
    """Its words."""


def load_clips(folder: Path) -> list[Clip]:
    """Return the clips of a folder by sentence, then voice; raise what is wrong with it."""
    texts = _texts(folder / SENTENCES)
    clips = []
    for path in folder.glob(f"*{_SUFFIX}"):
        voice, _, sentence = path.name.removesuffix(_SUFFIX).rpartition("_")
        if sentence not in texts:
            raise InvalidInput(str(path), f"{SENTENCES} has no sentence {sentence!r}")
        clips.append(Clip(path, voice, sentence, texts[sentence]))
    if not clips:
        raise Misconfigured(f"{folder}: no file is named <voice>_<id>{_SUFFIX}", folder=folder)
    return sorted(clips, key=lambda clip: (clip.sentence, clip.voice))


def _texts(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}", file=path) from error
    texts = {}
    for number, line in enumerate(lines, 1):
        sentence, tab, text = line.partition("\t")
        if not tab or not text.strip():
            raise InvalidInput(f"{path}:{number}", "is not an id, a tab and a text")
        texts[sentence] = text.strip()
    return texts
