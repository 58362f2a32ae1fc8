"""The supervisor as a background process (``voicemesh up --detach``).

``python -m mesh.local.daemon TOPOLOGY MODELS REGION [sip]`` (an empty REGION is all of them)
reports on standard output, one JSON object a line: ``{"process": …, "state": …}`` while starting,
then ``{"ready": true}`` or ``{"error": …}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.local.following import follow
from mesh.local.hold import hold
from mesh.local.home import VARIABLE, Home
from mesh.local.world import LocalWorld, chosen
from mesh.topology import load, with_phones
from voicemesh.errors import Misconfigured, VoicemeshError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh.local.keeper import State
    from mesh.local.supervisor import LocalMesh
    from mesh.topology import Topology

_ROOT = str(Path(__file__).resolve().parents[2])


def spawn(
    home: Home,
    topology: Path,
    models: str,
    progress: Callable[[str, str], None],
    *,
    region: str = "",
    phones: bool,
) -> None:
    """Start a supervisor that outlives this process; return when its mesh serves.

    With ``phones`` it has a SIP process, too; with ``region`` it is that one of several only.

    Raises Misconfigured with what it said where it does not come up.
    """
    log = home.log("supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    with log.open("ab") as errors:
        daemon = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "mesh.local.daemon", str(topology.absolute()), models, region]
            + ["sip"] * phones,
            env={**os.environ, VARIABLE: str(home.folder), "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            text=True,
        )
    try:
        _follow(daemon, log, progress)
    except BaseException:
        daemon.terminate()
        daemon.wait()
        raise
    daemon.returncode = 0  # it outlives us, of which Popen would otherwise complain


def _follow(daemon: subprocess.Popen[str], log: Path, progress: Callable[[str, str], None]) -> None:
    if daemon.stdout is None:
        raise AssertionError("its output is a pipe")
    with daemon.stdout as reports:
        for line in reports:
            report = json.loads(line)
            if "error" in report:
                error = report["error"]
                raise Misconfigured(error["message"], reason=error["reason"], **error["details"])
            if "ready" in report:
                return
            progress(report["process"], report["state"])
    raise Misconfigured(f"the supervisor ended before its mesh served; see {log}", log=log)


def _report(**fields: Any) -> None:  # noqa: ANN401 - JSON
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def _run(path: Path, models: str, region: str, phones: bool) -> None:
    def progress(name: str, state: State) -> None:
        if not mesh.started:
            _report(process=name, state=state.value)

    def prepared(topology: Topology) -> Topology:
        return with_phones(topology) if phones else topology

    async def serve(mesh: LocalMesh | LocalWorld) -> None:
        _report(ready=True)
        # Whoever started us stops reading now; nothing more may be written there.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        await follow(mesh, path, prepared)

    mesh = chosen(prepared(load(path)), region, models=models, progress=progress)
    await hold(mesh, serve)


def main() -> None:
    """Run until told to stop."""
    try:
        path, models, region = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
        asyncio.run(_run(path, models, region, "sip" in sys.argv[4:]))
    except VoicemeshError as error:
        _report(error={"message": error.message, "reason": error.reason, "details": error.details})
        sys.exit(1)
    except asyncio.CancelledError:
        sys.exit(130)  # told to stop while starting


if __name__ == "__main__":
    main()
