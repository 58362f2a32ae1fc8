"""The senses: one server that hosts speech-to-text, language and text-to-speech engines."""

import os

# Before numpy is imported: its threads wait for their next work by spinning, which on the small
# matrices of speech costs more time than the work itself, taken from the models.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
