"""What all parts of voicemesh share: the contract, audio, journal, errors, channels, servers."""

import os

# Before numpy loads: its threads help none of our small arrays, and doubled the CPU of each call.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before gRPC loads: without its event engine the thread that waits for messages also reads them
# from their sockets, instead of being woken by another one that did.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
