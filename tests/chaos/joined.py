"""A gateway's call and an orchestrator's conversation, joined in memory, in virtual time.

On the gateway's side everything is real but gRPC: floor, call, link and converters. On the other
side are the real conversation and converters, with model senses. Between them is a wire that keeps
the order and can be cut; orchestrators die, fall silent, and come back late. The caller speaks,
presses keys, and keeps what they hear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gateway import commands as do, convert as of_gateway, events as on
from gateway.call import CallSettings, Phase
from gateway.floor import TICK_SECONDS, Floor
from gateway.holding import Lines
from gateway.link import Link
from gateway.live import LiveCall
from gateway.playout import PlayoutState
from gateway.records import Records
from gateway.reports import Wish
from orchestrator import commands, convert as of_orchestrator
from tests.gateway.rig import Loudness
from tests.orchestrator.clock import Clock
from tests.orchestrator.driver import LINK_SECONDS, Replica, World, answers
from tests.orchestrator.model_gateway import RATE, WORD_SECONDS, Word
from tests.orchestrator.model_senses import Faults, ModelTools, sound_of
from tests.orchestrator.trace import Trace
from voicemesh.api.session.v1 import session_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.stream import StreamUser
    from tests.orchestrator.driver import Script
    from voicemesh.audio import Samples
    from voicemesh.bots import Bot
    from voicemesh.errors import VoicemeshError
    from voicemesh.journal import Journal

FRAME = int(TICK_SECONDS * RATE)
KEEPALIVE_SECONDS = 0.6
"""After so long a proxy notices that an orchestrator hangs."""
GHOST_SECONDS = 1.0
"""How long an orchestrator goes on that nobody hears any more."""
SLOW_OPENING_SECONDS = 0.08
SLOW_GOING_SECONDS = 0.3
WEIGHTY = frozenset({"ready", "journal", "flush", "play_on", "action"})
"""Responses after which the gateway is not what it was."""
MARGIN = RATE // 50
LINE = np.full(RATE, -77, np.int16)
"""What the gateway says by itself: no sentence has samples below 1."""


class Wire:
    """One stream: in order, and nothing lost until it is cut."""

    def __init__(
        self, world: Joined, number: int, first: session_pb2.RunRequest, user: StreamUser
    ) -> None:
        self.number = number
        self.replica: Replica | None = None
        self._world = world
        self._user = user
        self._listening = True
        """Whether the gateway has an ear for it."""
        self._whole = True
        """Whether what the gateway says arrives."""
        self._heard = True
        """Whether what the orchestrator says arrives."""
        self._going_seconds = LINK_SECONDS
        data = first.SerializeToString()
        world.clock.after(world.opening_seconds, lambda: self._open(data))

    # The gateway's end.

    def send(self, request: session_pb2.RunRequest) -> bool:
        data = request.SerializeToString()
        if not request.HasField("playout") or request.playout.kept_sequence:
            self._world.touch()
        self._world.clock.after(LINK_SECONDS, lambda: self._arrive(data))
        return True

    def half_close(self) -> None:
        self._world.clock.after(self._going_seconds, self._hand_over)

    def cancel(self) -> None:
        self._listening = False
        self._world.clock.after(LINK_SECONDS, self._cancelled)

    # What goes wrong.

    def die(self) -> None:
        """The orchestrator dies."""
        self._stop()
        self._world.clock.after(LINK_SECONDS, self.end)

    def cut(self) -> None:
        """Nothing arrives any more; the orchestrator lives on for a while."""
        self._whole = self._heard = False
        self._lost()
        self._world.clock.after(GHOST_SECONDS, self._stop)
        self._world.clock.after(KEEPALIVE_SECONDS, self.end)

    def mute(self) -> None:
        """What it says is lost, acknowledgements too; then the orchestrator dies."""
        self._heard = False
        self._lost()
        self._world.clock.after(0.3, self.die)

    def drain(self) -> None:
        """The orchestrator asks to be left, so soon that nobody can wait for a pause."""
        response = session_pb2.RunResponse()
        response.go_away.deadline.FromMilliseconds(1100)
        self._tell(response)

    def linger(self) -> None:
        """It asks to be left; the next one takes its time to come, and this one to go."""
        self._world.opening_seconds = SLOW_OPENING_SECONDS
        self._going_seconds = SLOW_GOING_SECONDS
        self.drain()

    def end(self) -> None:
        """The gateway learns that the stream is over."""
        if self._listening:
            self._listening = False
            self._user.ended(self.number, None)

    # The orchestrator's end.

    def _open(self, data: bytes) -> None:
        if not self._whole:
            return
        world = self._world
        if world.clock.now < world.gone_until:
            self.end()
            return
        opening = session_pb2.RunRequest.FromString(data).open
        opening.tells_kept &= not world.tells_nothing
        facts = of_orchestrator.facts(opening, f"orchestrator-{self.number}")
        self.replica = world.replica = Replica(world, facts, opening.journal, self._carry_back)
        ready = session_pb2.Ready(
            epoch=opening.epoch, wanted_offset=self.replica.wanted, replica=facts.replica
        )
        self._tell(session_pb2.RunResponse(ready=ready))
        world.opened(len(data))
        self.replica.start()

    def _arrive(self, data: bytes) -> None:
        if self._whole and self.replica is not None:
            request = session_pb2.RunRequest.FromString(data)
            self.replica.handle(of_orchestrator.event(request, RATE))

    def _carry_back(self, batch: list[commands.Command]) -> None:
        if isinstance(batch[0], commands.Leave):
            self._say_bye(session_pb2.BYE_REASON_CALL_ENDED)
            return
        for response in of_orchestrator.responses(batch):
            self._deliver(response.SerializeToString())

    def _hand_over(self) -> None:
        if self._whole and self.replica is not None and self.replica.alive:
            self._say_bye(session_pb2.BYE_REASON_HANDED_OVER)

    def _say_bye(self, reason: session_pb2.ByeReason.ValueType) -> None:
        self._stop()
        bye = session_pb2.RunResponse(bye=session_pb2.Bye(reason=reason))
        self._deliver(bye.SerializeToString())
        self.end()

    def _cancelled(self) -> None:
        if self._whole:
            self._stop()

    def _stop(self) -> None:
        if self.replica is not None:
            self.replica.alive = False
            self._lost()

    def _lost(self) -> None:
        """Let stories know that nobody conducts the call now."""
        if self._world.replica is self.replica:
            self._world.replica = None

    def _tell(self, response: session_pb2.RunResponse) -> None:
        data = response.SerializeToString()
        self._world.clock.after(LINK_SECONDS, lambda: self._deliver(data))

    def _deliver(self, data: bytes) -> None:
        if not (self._listening and self._heard):
            return
        response = session_pb2.RunResponse.FromString(data)
        kind = response.WhichOneof("message")
        if kind not in ("go_away", "bye"):
            self._world.touch()
        self._user.came(self.number, response)
        if kind in WEIGHTY:
            self._world.responses += 1
            if self._world.responses == self._world.last_response:
                self.die()


class Ears:
    """How far the caller has heard the bot, as stories ask for it."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    @property
    def heard(self) -> int:
        heard: int = self._phone.call.downlink.playout.heard(self._phone.now)
        return heard

    @property
    def playing(self) -> bool:
        return self._phone.call.downlink.playout.state is PlayoutState.PLAYING


class Phone:
    """The caller: a leg to the gateway, and what stories know of a gateway."""

    ahead = 0.0

    def __init__(self, clock: Clock) -> None:
        self.words: list[Word] = []
        self.carried_out: list[tuple[str, str]] = []
        self.last_message = 0.0
        self.ended: do.End | None = None
        self.failure: VoicemeshError | None = None
        self.live: LiveCall
        self.playout = Ears(self)
        self._clock = clock
        self._events: list[Any] = []
        self._sent = 0
        self._talking = (0, 0)
        self._pieces: dict[int, Samples] = {}
        self.over = False

    @property
    def now(self) -> float:
        return self._clock.now

    @property
    def call(self) -> Any:  # noqa: ANN401 - its insides, on purpose
        return self.live._call

    @property
    def journal(self) -> Journal:
        kept: Journal = self.call.downlink.journal
        return kept

    @property
    def speaking(self) -> bool:
        talking: bool = self._talking[1] > self._sent or self.call.uplink.speaking
        return talking and self.ended is None

    @property
    def still(self) -> bool:
        if self.ended is not None:
            return True
        held = self.call.downlink.playout.state is PlayoutState.IDLE
        return held and self.call.downlink.silent and not self.speaking

    @property
    def said_bye(self) -> bool:
        return self.ended is not None

    # What the caller does.

    def caller_begins(self, text: str) -> None:
        size = int(WORD_SECONDS * RATE)
        for number, word in enumerate(text.split()):
            begin = self._sent + number * size
            self.words.append(Word(word, begin, begin + size))
        self._talking = (self._sent, self.words[-1].end)

    def caller_presses(self, digit: str) -> None:
        self._does(on.CallerPressed(digit))

    def application_asks(self, key: str, kind: str, argument: str = "") -> None:
        self._does(on.ApplicationWished(key, Wish(kind), argument))

    def call_ends(self, _reason: str) -> None:
        if not self.over:
            self.over = True
            self._events.append(on.CallerLeft())

    def _does(self, event: on.Event) -> None:
        self._events.append(event)
        self.last_message = self.now

    def frame(self) -> None:
        """Send 20 ms of sound."""
        samples = np.zeros(FRAME, np.int16)
        begin, end = (min(max(at - self._sent, 0), FRAME) for at in self._talking)
        samples[begin:end] = 1000
        self._events.append(on.CallerSounded(self._sent, samples))
        self._sent += FRAME

    # What the gateway does.

    def take(self) -> Iterator[Any]:
        events, self._events = self._events, []
        yield from events

    def give(self, command: do.LegCommand) -> None:
        match command:
            case do.Play(chunk):
                assert chunk.offset >= self._end, "what was heard is said again"
                self._pieces[chunk.offset] = chunk.samples
            case do.Clear(offset):
                self._clear(offset)
            case do.Transfer(target):
                self.carried_out.append(("transfer", target))
            case do.End():
                self.over, self.ended = True, command
                if command.reason == "bot_hung_up":
                    self.carried_out.append(("hang_up", ""))
            case do.Fail(error):
                self.failure = error

    def stuck(self, _now: float) -> None:
        return None

    @property
    def _end(self) -> int:
        last = max(self._pieces, default=0)
        return last + self._pieces[last].size if self._pieces else 0

    def _clear(self, offset: int) -> None:
        kept = {at: each for at, each in self._pieces.items() if at < offset}
        self._pieces = {at: each[: offset - at] for at, each in kept.items()}

    @property
    def sound(self) -> list[int]:
        """Everything the caller heard of the bot, in order."""
        heard = [each for _, each in sorted(self._pieces.items())]
        return [] if not heard else [n for n in np.concatenate(heard).tolist() if n > 0]

    def between(self, begin: int, end: int) -> int:
        """How many samples the caller heard between two offsets."""
        spans = [(at, at + each.size) for at, each in self._pieces.items()]
        return sum(max(0, min(stop, end) - max(start, begin)) for start, stop in spans)

    @property
    def lines(self) -> int:
        """Samples that the gateway said by itself."""
        return sum(int((each == LINE[0]).sum()) for each in self._pieces.values())


class Joined(World):
    """One call, both sides of it; stories are told to it as to the model gateway's."""

    def __init__(self, bot: Bot, script: Script | None = None) -> None:
        self.bot = bot
        self.script = script or answers({})
        self.clock = Clock()
        self.trace = Trace(self.clock)
        self.faults = Faults()
        self.tools = ModelTools()
        self.replica = None
        self.gone_until = 0.0
        """Until then no orchestrator answers."""
        self.opening_seconds = LINK_SECONDS
        """How long the next open takes to arrive."""
        self.last_response: int | None = None
        """The session that delivers the response of this number dies of it."""
        self.tells_nothing = False
        """Whether the gateway is one that does not say what it has kept."""
        self.responses = 0
        """How many came that are more than sound, words and acknowledgements."""
        self.wires: list[Wire] = []
        self.opens: list[int] = []
        """How many bytes each open had."""
        self.phone = Phone(self.clock)
        self.gateway = self.phone  # type: ignore[assignment]
        self._floor = Floor(Loudness(), lambda: self.clock.now)
        self._deaths = 0
        self._stood_at = 0.0

    def touch(self) -> None:
        """Take note that something was said on a wire."""
        self.phone.last_message = self.clock.now

    def opened(self, size: int) -> None:
        self.opens.append(size)
        self.opening_seconds = LINK_SECONDS
        self.touch()
        self._stood_at = self.clock.now

    def stream(
        self,
        _lane: int,
        number: int,
        _metadata: object,
        first: session_pb2.RunRequest,
        user: StreamUser,
    ) -> Wire:
        """Open a wire, as the pool opens streams."""
        self.wires.append(Wire(self, number, first, user))
        return self.wires[-1]

    def open(self) -> Replica:
        """Place the call, and go on until an orchestrator has it."""
        facts = of_gateway.CallFacts(self.bot, RATE, call_id="call")
        lines = Lines(LINE, LINE)
        settings = CallSettings(
            rate=RATE,
            barge_in=self.bot.barge_in.enabled,
            fallback_target=self.bot.fallback.transfer,
            lines=lines,
        )
        live = self.phone.live = LiveCall("call", settings, self.phone, self._floor, Records(None))
        live.attach(Link(facts, self, live, self._floor.now, lambda: 0.5))
        self._tick()
        self.until(lambda: self.replica is not None)
        assert self.replica is not None
        return self.replica

    def _tick(self) -> None:
        if self.phone.ended is not None or self.phone.failure is not None:
            assert self.phone.failure is None, self.phone.failure
            return
        self.phone.frame()
        self._floor.tick()
        self.clock.after(TICK_SECONDS, self._tick)

    # What goes wrong.

    def hurt(self, how: str, gone_seconds: float = 0.0) -> None:
        """Have something go wrong with the session that stands, if one does."""
        wire = next((wire for wire in reversed(self.wires) if wire.replica is self.replica), None)
        if self.replica is None or wire is None or self._may_be_blamed():
            return
        self.gone_until = self.clock.now + gone_seconds
        faults: dict[str, Callable[[], None]] = {
            "die": wire.die,
            "cut": wire.cut,
            "mute": wire.mute,
            "drain": wire.drain,
            "linger": wire.linger,
        }
        faults[how]()

    def _may_be_blamed(self) -> bool:
        """Whether the call would be blamed for one more session that ends early."""
        early = self.clock.now - self._stood_at < 1.0
        self._deaths = self._deaths + 1 if early else 0
        return self._deaths >= 3

    def check(self) -> None:
        """See that the caller heard whole sentences, unless they cut them off."""
        call = self.phone.call
        assert call.phase is Phase.ENDED
        assert call.uplink.outbox.dropped_samples == 0
        interrupted = any(e.HasField("reply_interrupted") for e in self.gateway.journal.entries)
        sound = self.phone.sound
        said = np.concatenate([np.empty(0, np.int16), *map(sound_of, self.bot_text)]).tolist()
        if sound != said:
            rest = iter(said)
            assert all(sample in rest for sample in sound), "heard what was not said"
            assert interrupted, "heard not all that was said"
        if not self.phone.lines:
            self._check_silenced()
            self._check_the_rest_was_heard()

    def _check_silenced(self) -> None:
        """See that nothing was heard of what the journal says was not."""
        for begin, end in self._cuts():
            heard = self.phone.between(begin, end)
            # Where no barge-in says exactly when it was, the orchestrator has to reckon.
            assert heard <= MARGIN, f"{heard} samples of what was cut off"

    def _check_the_rest_was_heard(self) -> None:
        for sentence in self.memory.sentences.values():
            begin, end = sentence.start_offset, sentence.end_offset
            if begin is None or end is None:
                continue
            cuts = [(max(begin, start), min(end, stop)) for start, stop in self._cuts()]
            due = end - begin - sum(max(0, stop - start) for start, stop in cuts)
            heard = self.phone.between(begin, end)
            assert heard >= due - MARGIN, f"of {sentence} only {heard} of {due} samples"

    def _cuts(self) -> list[tuple[int, int]]:
        """Return what the journal says was cut off, each range once."""
        events = [e.reply_interrupted for e in self.gateway.journal.entries]
        return sorted({(e.heard_offset, e.next_offset) for e in events if e.next_offset})
