"""Serves one sense: ``VOICEMESH_SENSE=stt VOICEMESH_ENGINES=whisper python -m adapters``."""

from __future__ import annotations

import sys

from adapters.config import AdapterSettings
from adapters.service import build
from voicemesh import telemetry
from voicemesh.errors import VoicemeshError
from voicemesh.server import run, serve
from voicemesh.settings import load


async def _main() -> None:
    settings = load(AdapterSettings)
    telemetry.configure(settings)
    await serve(build(settings), settings)


def main() -> int:
    """Serve; return 1 with one line on stderr if that cannot be."""
    try:
        run(_main)
    except VoicemeshError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
