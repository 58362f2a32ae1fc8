"""Runs a SIP process: ``python -m sip``, settings from ``VOICEMESH_*``."""

from __future__ import annotations

from sip.baresip_leg import BaresipStack
from sip.config import SipSettings
from sip.file import load
from sip.service import SipDoor
from voicemesh import server


async def _main() -> None:
    settings = server.settle(SipSettings)
    file = load(settings.sip)
    await server.serve(SipDoor(settings, file, BaresipStack(settings, file)), settings)


if __name__ == "__main__":
    server.run(_main)
