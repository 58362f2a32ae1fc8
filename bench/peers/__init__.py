"""voicemesh beside its peers: the same callers, the same conversation, the same machine.

`bot` is the peer's side and runs in an environment of its own (`requirements.txt`); it imports
nothing of ours. Everything else runs in ours: `python -m bench.peers`, or `make bench-peers`.
"""
