"""What all parts of voicemesh share: the contract, audio, journal, errors, channels, servers."""

import os

# Before numpy loads: its threads help none of our small arrays, and doubled the CPU of each call.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
