"""Calls from the softphone page in headless Chromium, whose microphone is a clip."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicemesh.audio import Samples, tonetext, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence

BROWSER = Path(__file__).parent / "browser"
DEADLINE_SECONDS = 100
_CLIP_RATE = 48000


def missing() -> str:
    """Return the Debian packages that a browser test lacks here; empty if none."""
    needed = {"chromium": "chromium", "node": "nodejs", "npm": "npm"}
    return ", ".join(name for command, name in needed.items() if not shutil.which(command))


def write_clip(file: Path, *spoken: tuple[float, str]) -> None:
    """Write what the microphone hears: texts, each behind so many seconds of silence."""
    parts: list[Samples] = []
    for seconds, text in spoken:
        parts.append(np.zeros(int(seconds * _CLIP_RATE), np.int16))
        parts.append(tonetext.encode(text, _CLIP_RATE))
    write_wav(file, _CLIP_RATE, np.concatenate([*parts, np.zeros(_CLIP_RATE, np.int16)]))


def words_in(recording: Path, rate: int) -> list[str]:
    """Return the texts in what the loudspeaker played, which is 32-bit floats."""
    sound = np.fromfile(recording, np.float32)
    # The tones end at 3.4 kHz, far below what the machine's rate can hold: straight lines will do.
    times = np.arange(int(sound.size * tonetext.RATE / rate)) * (rate / tonetext.RATE)
    heard = np.interp(times, np.arange(sound.size), sound)
    return tonetext.texts((heard * 32767).astype(np.int16))


async def browse(url: str, home: Path, clip: Path, **plan: object) -> dict[str, Any]:
    """Open the page and do as planned; return what it showed."""
    await _install()
    plan |= {"chromium": shutil.which("chromium"), "home": str(home / "chromium")}
    code, out, err = await _run("node", "call.mjs", url, str(clip), json.dumps(plan))
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


async def _install() -> None:
    """Install once; the copy of the lock file says for which version of it."""
    lock, installed = BROWSER / "package-lock.json", BROWSER / "node_modules" / ".for-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    code, _, err = await _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    assert code == 0, err
    installed.write_bytes(lock.read_bytes())


async def _run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=BROWSER,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"npm_config_update_notifier": "false"},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    finally:
        if process.returncode is None:
            process.terminate()  # it takes its browser along
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


def said(shown: dict[str, Any], speaker: str) -> Sequence[str]:
    """Return what one side said, as the page shows it."""
    return [line["text"] for line in shown["said"] if line["speaker"] == speaker]
