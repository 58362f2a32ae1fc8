"""Who is speaking: voice activity of all calls in one model run, and one gate per call.

`VadBatch` is shared by a process: calls feed it samples, and once per tick it runs the model over
every full window of every call. `SpeechGate` belongs to one call and turns the probabilities into
SpeechStarted and SpeechEnded. Both count samples from where they were opened.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from voicemesh.audio import MESH_RATES, Samples
from voicemesh.errors import InvalidInput, MissingModel, NotFound, OutOfOrder, Refused

WINDOW_MS = 32
"""What the model looks at in one step."""
MAX_BUFFERED_SECONDS = 1
"""How much a call may feed between two runs."""

_CONTEXT_MS = 4  # the end of the window before, which the model sees again
_STATE = 128
_SCALE = np.float32(1 / 32768)


class Window(NamedTuple):
    """What the model said about one window of one call."""

    slot: int
    """The call."""
    end: int
    """Offset behind the window's last sample, from the opening of the slot."""
    probability: float
    """That somebody speaks in it, 0 to 1."""


def model_path() -> Path:
    """Find the model inside its package without importing that, which would need torch."""
    spec = find_spec("silero_vad")
    for folder in (spec and spec.submodule_search_locations) or ():
        # The package's default. Its variants are no faster in batches; the one without `If` nodes
        # gives other probabilities at 8 kHz, the others do not know 8 kHz.
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise MissingModel("silero-vad", "voice activity")


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class _Lane:
    """The calls of one rate: row `i` of every array belongs to one of them."""

    def __init__(self, session: onnxruntime.InferenceSession, rate: int) -> None:
        self.window = WINDOW_MS * rate // 1000
        self.context = _CONTEXT_MS * rate // 1000
        self.room = MAX_BUFFERED_SECONDS * rate
        self._session = session
        self._rate = np.array(rate, np.int64)
        # Each row of sound: the context, what was fed since the last full window, and room to
        # complete a window.
        self.sound = np.zeros((1, self.context + self.room + self.window), np.int16)
        self.filled = np.zeros(1, np.int64)
        self.position = np.zeros(1, np.int64)
        self.slot = np.zeros(1, np.int64)
        self._state = np.zeros((2, 1, _STATE), np.float32)
        self._free = [0]

    def open(self, slot: int) -> int:
        if not self._free:
            self._double()
        row = self._free.pop()
        self.slot[row] = slot
        self.position[row] = 0
        self.reset(row)
        return row

    def close(self, row: int) -> None:
        self.filled[row] = 0
        self._free.append(row)

    def reset(self, row: int) -> None:
        """Forget the row's sound and everything that the model remembers of it."""
        self.filled[row] = 0
        self.sound[row, : self.context] = 0
        self._state[:, row] = 0

    def append(self, row: int, samples: Samples) -> None:
        filled = int(self.filled[row])
        begin = self.context + filled
        self.sound[row, begin : begin + samples.size] = samples
        self.filled[row] += samples.size

    def run(self, rows: NDArray[np.int64]) -> list[Window]:
        """Run all full windows of these rows, one of each row at a time."""
        windows: list[Window] = []
        full = self.filled[rows] // self.window
        most = int(full.max(initial=0))
        for done in range(most):
            windows += self._step(rows[full > done], done)
        for moved in range(1, most + 1):
            ran = full == moved
            if ran.any():
                self._shift(rows[ran], moved * self.window)
        return windows

    def _step(self, rows: NDArray[np.int64], done: int) -> list[Window]:
        """Run the model once, on the window behind the `done` first ones of each of these rows."""
        begin = done * self.window
        sound = self.sound[rows, begin : begin + self.context + self.window] * _SCALE
        inputs = {"input": sound, "state": self._state[:, rows], "sr": self._rate}
        probabilities, self._state[:, rows] = self._session.run(None, inputs)
        self.position[rows] += self.window
        ends, slots = self.position[rows].tolist(), self.slot[rows].tolist()
        return list(map(Window, slots, ends, probabilities[:, 0].tolist()))

    def _shift(self, rows: NDArray[np.int64], consumed: int) -> None:
        self.filled[rows] -= consumed
        width = self.context + int(self.filled[rows].max())
        self.sound[rows, :width] = self.sound[rows, consumed : consumed + width]

    def _double(self) -> None:
        rows = len(self.filled)
        self.sound = np.concatenate((self.sound, np.zeros_like(self.sound)))
        self._state = np.concatenate((self._state, np.zeros_like(self._state)), axis=1)
        self.filled, self.position, self.slot = (
            np.concatenate((array, np.zeros_like(array)))
            for array in (self.filled, self.position, self.slot)
        )
        self._free = list(range(2 * rows - 1, rows - 1, -1))


class VadBatch:
    """Voice activity of all calls of a process."""

    def __init__(self) -> None:
        session = _session(model_path())
        self._lanes = {rate: _Lane(session, rate) for rate in MESH_RATES}
        self._slots: dict[int, tuple[_Lane, int]] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """Count the open slots."""
        return len(self._slots)

    def open(self, rate: int) -> int:
        """Begin a call whose samples come at 8000 or 16000 a second; return its slot."""
        if rate not in self._lanes:
            allowed = ", ".join(map(str, self._lanes))
            raise InvalidInput("rate", f"is {rate}, not one of {allowed}", allowed=allowed)
        slot = next(self._numbers)
        self._slots[slot] = self._lanes[rate], self._lanes[rate].open(slot)
        return slot

    def close(self, slot: int) -> None:
        """End a call; what it has fed and was not run is forgotten."""
        lane, row = self._find(slot)
        lane.close(row)
        del self._slots[slot]

    def feed(self, slot: int, samples: Samples) -> None:
        """Take samples until the next run; raise Refused beyond MAX_BUFFERED_SECONDS."""
        lane, row = self._find(slot)
        waiting = int(lane.filled[row]) + samples.size
        if waiting > lane.room:
            raise Refused(
                f"voice activity is behind: {waiting} samples wait, {lane.room} may",
                reason="VAD_BEHIND",
                limit=lane.room,
            )
        lane.append(row, samples)

    def skip(self, slot: int, gap: int) -> list[Window]:
        """Pass over `gap` samples of silence.

        A gap within the window that has begun is silence in that window. A longer one completes
        it, is not looked at otherwise, and lets the model forget: the call's full windows are run
        at once, and returned here instead of by `run`.
        """
        lane, row = self._find(slot)
        missing = -int(lane.filled[row]) % lane.window
        lane.append(row, np.zeros(min(gap, missing), np.int16))
        if gap <= missing:
            return []
        windows = lane.run(np.array([row]))
        lane.reset(row)
        lane.position[row] += gap - missing
        return windows

    def run(self) -> list[Window]:
        """Run the model on every full window; the windows of one call come in order."""
        windows: list[Window] = []
        for lane in self._lanes.values():
            windows += lane.run(np.flatnonzero(lane.filled >= lane.window))
        return windows

    def _find(self, slot: int) -> tuple[_Lane, int]:
        try:
            return self._slots[slot]
        except KeyError:
            raise NotFound(f"voice activity has no open slot {slot}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """When speech is said to begin and to end."""

    on: float = 0.5
    """Probability from which a window begins speech."""
    off: float = 0.35
    """Probability below which a window no longer continues it."""
    start_windows: int = 2
    """Windows at or above `on` that speech needs to begin..."""
    start_within: int = 3
    """...among so many in a row."""
    hangover_ms: int = 160
    """Silence after which speech has ended, milliseconds."""

    def __post_init__(self) -> None:
        if not 0 <= self.off <= self.on <= 1:
            raise InvalidInput("off", f"0 <= off <= on <= 1, got off {self.off}, on {self.on}")
        if not 1 <= self.start_windows <= self.start_within:
            raise InvalidInput("start_windows", f"must be 1 to {self.start_within}")
        if self.hangover_ms < 1:
            raise InvalidInput("hangover_ms", f"is {self.hangover_ms}, must be >= 1")


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak."""

    offset: int
    """Beginning of the first window with speech."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The caller stopped speaking."""

    offset: int
    """End of the last window with speech."""


SpeechEvent: TypeAlias = SpeechStarted | SpeechEnded


class SpeechGate:
    """Turns one call's windows into SpeechStarted and SpeechEnded, which take turns."""

    def __init__(self, rate: int, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._window = WINDOW_MS * rate // 1000
        self._hangover = self._settings.hangover_ms * rate // 1000
        self.speaking = False
        """Whether speech has started and not ended."""
        self._heard_until = 0
        self._speech_until = 0
        self._beginnings: deque[int] = deque()

    def handle(self, end: int, probability: float) -> list[SpeechEvent]:
        """Take the next window; raise where it overlaps the one before or is no probability."""
        begin = end - self._window
        if not 0 <= probability <= 1:
            raise InvalidInput("probability", f"is {probability}, must be 0 to 1")
        # Windows that were skipped are silence.
        events = self.silence(begin)
        self._heard_until = end
        settings = self._settings
        if not self.speaking:
            return events + self._loud(begin, end) if probability >= settings.on else events
        if probability >= settings.off:
            self._speech_until = end
            return events
        return events + self._end_if_over()

    def silence(self, until: int) -> list[SpeechEvent]:
        """Take note that nothing was said up to `until`, for which there are no windows."""
        if until < self._heard_until:
            limit = self._heard_until
            raise OutOfOrder("window", f"begins at {until}; must be >= {limit}", limit=limit)
        self._heard_until = until
        return self._end_if_over()

    def _loud(self, begin: int, end: int) -> list[SpeechEvent]:
        """Count a loud window; speech begins with enough of them close together."""
        self._beginnings.append(begin)
        oldest = end - self._settings.start_within * self._window
        while self._beginnings[0] < oldest:
            self._beginnings.popleft()
        if len(self._beginnings) < self._settings.start_windows:
            return []
        started = SpeechStarted(self._beginnings[0])
        self._beginnings.clear()
        self.speaking, self._speech_until = True, end
        return [started]

    def _end_if_over(self) -> list[SpeechEvent]:
        if not self.speaking or self._heard_until - self._speech_until < self._hangover:
            return []
        self.speaking = False
        return [SpeechEnded(self._speech_until)]
