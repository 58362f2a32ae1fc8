"""Runs the caller that is written in Node."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicemesh.access import find, read_token

if TYPE_CHECKING:
    from collections.abc import Mapping

NODE = Path(__file__).parent / "node"
DEADLINE_SECONDS = 100


def missing() -> bool:
    """Return whether there is no Node here."""
    return not (shutil.which("node") and shutil.which("npm"))


async def run(
    *command: str | Path, folder: Path = NODE, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"npm_config_update_notifier": "false"} | dict(environment or {}),
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


async def install(folder: Path = NODE) -> None:
    """Install once; the copy of the lock file says for which version of it."""
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".for-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    code, _, err = await run(
        "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder
    )
    assert code == 0, err
    installed.write_bytes(lock.read_bytes())


async def node_call(address: str, bot: str, *clips: Path) -> dict[str, Any]:
    """Place a call from Node; return what it reports."""
    await install()
    known = find(address.partition(",")[0])
    shown = {"VOICEMESH_CA": known.roots, "VOICEMESH_TOKEN": read_token(known.token)}
    environment = {name: value for name, value in shown.items() if value}
    code, out, err = await run("node", "caller.mjs", address, bot, *clips, environment=environment)
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told
