"""Lets `voicemesh chaos` block a service's event loop: SIGUSR2 sleeps in the main thread.

A stopped process is not the same: while only the loop is blocked, gRPC's own threads still answer
pings, so neither Envoy nor a channel can notice. Only the mesh that the command starts has
this folder on its path, so no service carries code for it.
"""

import os
import signal
import time

_seconds = float(os.environ.get("VOICEMESH_CHAOS_BLOCK_SECONDS") or 0)
if _seconds:
    signal.signal(signal.SIGUSR2, lambda *_: time.sleep(_seconds))
