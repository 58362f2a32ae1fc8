"""Runs a command that dies with its supervisor, even one that was killed with SIGKILL.

Usage: ``python leash.py SUPERVISOR_PID COMMAND [ARGUMENT …]``. A program of its own because code
between fork and exec is unsafe in a process with threads, and every gRPC process has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for SIGKILL at the supervisor's death, then become the command."""
    supervisor, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the kernel knew
        sys.exit(f"supervisor {supervisor} is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 - that is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


main()
