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
import re
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.sip.support import PATIENCE, PhoneMesh, caller_words, entries, phone_mesh, until
from voicemesh.audio import encode_mulaw
from voicemesh.client import load_speech
from voicemesh.evaluation.clips import Clip, load_clips
from voicemesh.evaluation.score import count
from voicemesh.evaluation.speech import ClipResult
from voicemesh.evaluation.words import Normaliser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicemesh.audio import Samples

RATE, FRAME, FRAME_SECONDS = 8000, 160, 0.02
LEAD_SECONDS, TAIL_SECONDS = 0.5, 4.0
SEED = 5


@dataclass(frozen=True)
class Network:
    """What happens to packets."""

    loss: float
    """Share that is lost, 0 to 1."""
    jitter: float
    """Longest delay, seconds; each packet has one of its own, all equally likely."""


class _Sip(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, _: object) -> None:
        self.answers.put_nowait(data.decode(errors="replace"))

    async def final(self, method: str) -> str:
        """Return the final answer to a request."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.answers.get()
                if f" {method}\r\n" in answer and answer.startswith("SIP/2.0 2"):
                    return answer


async def call(
    port: int, name: str, sound: Samples, network: Network, chance: random.Random
) -> None:
    """Place one call that says something, and hang up when it was said."""
    loop = asyncio.get_running_loop()
    target = ("127.0.0.1", port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        transport, sip = await loop.create_datagram_endpoint(_Sip, ("127.0.0.1", 0))
        own = transport.get_extra_info("sockname")[1]

        def send(method: str, to: str, sequence: int, body: str = "") -> None:
            lines = (
                f"{method} sip:bot@127.0.0.1:{port} SIP/2.0",
                f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{name}{method}{sequence}",
                f"From: <sip:{name}@127.0.0.1:{own}>;tag=1",
                f"To: {to}",
                f"Call-ID: {name}-{own}",
                f"CSeq: {sequence} {method}",
                f"Contact: <sip:{name}@127.0.0.1:{own}>",
                "Max-Forwards: 70",
                *(["Content-Type: application/sdp"] if body else []),
                f"Content-Length: {len(body)}",
            )
            transport.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), target)

        offer = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {media.getsockname()[1]} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )
        try:
            send("INVITE", f"<sip:bot@127.0.0.1:{port}>", 1, offer)
            answer = await sip.final("INVITE")
            to = re.findall(r"^To: (.*)\r$", answer, re.MULTILINE)[0]
            there = int(re.findall(r"m=audio (\d+)", answer)[0])
            send("ACK", to, 1)
            await _speak(media, there, sound, network, chance)
            send("BYE", to, 2)
            await sip.final("BYE")
        finally:
            transport.close()


async def _speak(
    media: socket.socket, port: int, sound: Samples, network: Network, chance: random.Random
) -> None:
    """Send speech as RTP, each packet at its time and what the network adds to it."""
    loop = asyncio.get_running_loop()
    data = encode_mulaw(sound)
    began = loop.time()
    done = asyncio.Event()
    for number in range(len(data) // FRAME):
        packet = struct.pack(">BBHII", 0x80, 0, number & 0xFFFF, number * FRAME, 7)
        packet += data[number * FRAME :][:FRAME]
        if chance.random() >= network.loss:
            at = began + number * FRAME_SECONDS + chance.random() * network.jitter
            loop.call_at(at, media.sendto, packet, ("127.0.0.1", port))
    loop.call_at(began + len(data) / RATE + network.jitter, done.set)
    await done.wait()


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
            own = random.Random(chance.random())  # noqa: S311
            await call(phones.port, f"{label}{number}", sound, network, own)

    before = len(phones.records)
    await asyncio.gather(*(one(number, clip) for number, clip in enumerate(clips)))
    await until(lambda: len(phones.records) == before + len(clips))
    words: dict[str, str] = {}
    for record in phones.records:
        caller = next(entries(record, "call_started"))["caller"]
        words[caller.partition(":")[2].partition("@")[0]] = " ".join(caller_words(record))
    return [ClipResult(clip, words[f"{label}{n}"], None) for n, clip in enumerate(clips)]


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
