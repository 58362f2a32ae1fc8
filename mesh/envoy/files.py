"""Rendered configuration as files: Envoy sees a rename into a watched folder, never a write."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from mesh.envoy.model import CALM
from mesh.envoy.transcoder import DESCRIPTORS

if TYPE_CHECKING:
    from pathlib import Path

    from mesh.envoy.model import Json, Rendered


def text(document: Json) -> str:
    """Return a document as JSON. Not YAML: Envoy would read an unquoted ``n`` as false."""
    return json.dumps(document, indent=1) + "\n"


def replace(path: Path, content: str, mode: int = 0o644) -> None:
    """Replace a file in one step, so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dot file beside it: the rename stays inside one file system.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content, encoding="utf-8")
    draft.chmod(mode)
    draft.replace(path)


def write(rendered: Rendered) -> list[Path]:
    """Write every file of one Envoy."""
    rendered.layout.access_log.parent.mkdir(parents=True, exist_ok=True)
    replace(rendered.layout.pressure, CALM)
    rendered.layout.descriptors.write_bytes(DESCRIPTORS.read_bytes())
    for path, document in rendered.files().items():
        replace(path, text(document), mode=0o600 if path in rendered.secrets else 0o644)
    return [rendered.layout.pressure, rendered.layout.descriptors, *rendered.files()]
