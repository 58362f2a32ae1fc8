"""A process that has imported a service and waits to become one: no replica pays for that again.

Usage: ``python -P template.py SOCKET MODULE SUPERVISOR_PID``. Each request on the socket,
one JSON datagram of ``number``, ``arguments``, ``environment`` and ``log``, is answered by the new
process itself with its number and process id. That process is a child of the supervisor, not of
this one (which forks twice; the supervisor is a subreaper, prctl(2)), so that the template's death
means nothing to it and the supervisor's means its end.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from typing import Any

from setproctitle import setproctitle

MAX_BYTES = 200_000
"""Of one request; a datagram between processes holds a little more."""
_PR_SET_PDEATHSIG = 1
_ADOPTION_SECONDS = 5.0


def main() -> None:
    """Import, then become a replica each time one is asked for, until nobody can ask any more."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    module, supervisor = sys.argv[2], int(sys.argv[3])
    main_module = f"{module}.__main__"
    given = dict(os.environ)
    importlib.import_module(main_module)
    # As our packages tell libraries how to behave; to have been told is not inherited otherwise.
    set_by_import = {name: text for name, text in os.environ.items() if given.get(name) != text}
    setproctitle(f"template of {module}")
    gc.collect()
    gc.freeze()  # what was imported is shared with the children until somebody touches it
    while request := requests.recv(MAX_BYTES):
        between = os.fork()
        if not between:
            # It ends at once, so that its child is the supervisor's.
            if os.fork():
                os._exit(0)
            _become(json.loads(request), set_by_import, requests, supervisor)
            del sys.modules[main_module]  # it was only imported, not run
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            sys.exit(0)
        os.waitpid(between, 0)


def _become(
    request: dict[str, Any], set_by_import: dict[str, str], requests: socket.socket, supervisor: int
) -> None:
    """Be a process of its own, as the request wants it; say so."""
    answer = {"number": request["number"], "pid": os.getpid()}
    try:
        os.setpgid(0, 0)
        _await_adoption(supervisor)
        _write_to(request["log"])
    except OSError:
        requests.send(json.dumps({**answer, "pid": None}).encode())
        os._exit(1)
    os.environ.clear()
    os.environ.update({**set_by_import, **request["environment"]})
    setproctitle(" ".join(request["arguments"]))
    sys.argv = list(request["arguments"][-1:])
    requests.send(json.dumps(answer).encode())
    requests.close()


def _await_adoption(supervisor: int) -> None:
    until = time.monotonic() + _ADOPTION_SECONDS
    while os.getppid() != supervisor and time.monotonic() < until:
        time.sleep(0.0005)
    # From here on it ends with the supervisor, also with one that is killed; see ``leash``.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)


def _write_to(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for old, new in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(old, new)
    os.close(nothing)
    os.close(file)


if __name__ == "__main__":
    main()
