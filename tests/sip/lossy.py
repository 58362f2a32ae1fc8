"""Calls over a bad network: how much worse is speech understood?

``python -m tests.sip.lossy FOLDER [--calls 20] [--loss 0.01] [--jitter 0.04]`` calls a mesh with
the embedded models by SIP, once for each clip of a folder (as `voicemesh eval speech` wants it),
first over a clean network, then over one that loses packets at random and delays each by up to the
jitter, which also changes their order. It prints both word error rates as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.sip.support import PhoneMesh, caller_words, phone_mesh
from voicemesh.client import load_speech
from voicemesh.emulate import Network, PhoneCall
from voicemesh.emulate.rtp import RATE
from voicemesh.evaluation.clips import Clip, load_clips
from voicemesh.evaluation.score import count
from voicemesh.evaluation.speech import ClipResult
from voicemesh.evaluation.words import Normaliser

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAD_SECONDS, TAIL_SECONDS = 0.5, 4.0
SEED = 5


async def hear(
    phones: PhoneMesh, clips: Sequence[Clip], network: Network, label: str, at_once: int
) -> list[ClipResult]:
    """Call with every clip; return what was understood."""
    places = asyncio.Semaphore(at_once)
    chance = random.Random(SEED)  # noqa: S311 - the same network each time

    async def one(number: int, clip: Clip) -> None:
        lead, tail = np.zeros(int(LEAD_SECONDS * RATE)), np.zeros(int(TAIL_SECONDS * RATE))
        speech = await asyncio.to_thread(load_speech, clip.path, RATE)
        sound = np.concatenate((lead, speech, tail)).astype(np.int16)
        async with places:
            own = replace(network, seed=chance.getrandbits(32))
            name, target = f"{label}{number}", f"127.0.0.1:{phones.port}"
            async with PhoneCall.place(target, "bot", caller=name, network=own) as call:
                await call.say(sound)

    await asyncio.gather(*(one(number, clip) for number, clip in enumerate(clips)))
    records = [await phones.record(f"{label}{number}") for number in range(len(clips))]
    return [
        ClipResult(clip, " ".join(caller_words(record)), None)
        for clip, record in zip(clips, records, strict=True)
    ]


async def compare(
    clips: Sequence[Clip], bad: Network, at_once: int, models: str = "embedded"
) -> dict[str, Any]:
    """Return the word error rates over a clean network and over a bad one."""
    async with phone_mesh(models, numbers={"*": "listener"}) as phones:
        clean = await hear(phones, clips, Network(0, 0), "clean", at_once)
        lossy = await hear(phones, clips, bad, "lossy", at_once)
    normalise = Normaliser()
    rates = [100 * count(results, normalise).wer for results in (clean, lossy)]
    return {
        "calls": len(clips),
        "words": count(clean, normalise).words,
        "loss": bad.loss,
        "jitter_ms": round(bad.jitter * 1000),
        "clean_wer_percent": round(rates[0], 2),
        "lossy_wer_percent": round(rates[1], 2),
        "points_worse": round(rates[1] - rates[0], 2),
        "load_average": os.getloadavg()[0],
        "different": [
            [one.clip.text, one.text, other.text]
            for one, other in zip(clean, lossy, strict=True)
            if one.text != other.text
        ],
    }


def main() -> None:
    """Compare, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.sip.lossy")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--jitter", type=float, default=0.04, help="seconds")
    parser.add_argument("--at-once", type=int, default=4)
    chosen = parser.parse_args()
    every = load_clips(chosen.folder)
    clips = every[:: max(len(every) // chosen.calls, 1)][: chosen.calls]
    told = asyncio.run(compare(clips, Network(chosen.loss, chosen.jitter), chosen.at_once))
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
