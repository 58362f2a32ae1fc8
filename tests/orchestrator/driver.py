"""Drives conversations without I/O: a model gateway, model senses, a link that can be cut.

``World`` is one call. Orchestrators (``Replica``) come and go in it; what the gateway has stays.
Every command of every conversation is checked against what the contract promises.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from orchestrator import commands, events
from orchestrator.conversation import CallFacts, Conversation
from tests.orchestrator.clock import NEVER, Clock
from tests.orchestrator.model_gateway import RATE, ModelGateway
from tests.orchestrator.model_senses import (
    Call,
    Faults,
    Line,
    ModelEar,
    ModelMind,
    ModelTools,
    ModelVoice,
    last_message,
    sound_of,
)
from tests.orchestrator.trace import Trace
from voicemesh.api.language.v1 import language_pb2
from voicemesh.journal import Memory, fold, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voicemesh.bots import Bot
    from voicemesh.journal import Entry

LINK_SECONDS = 0.002
QUIET_SECONDS = 1.0
LONGEST_SECONDS = 120.0
"""No story has as much to say at once."""
WALL_OFFSET = 1_700_000_000.0
FOR_GATEWAY = (
    commands.Write,
    commands.SendAudio,
    commands.Flush,
    commands.PlayOn,
    commands.Show,
    commands.Act,
    commands.Report,
    commands.Ack,
    commands.GoAway,
    commands.Leave,
)


Send: TypeAlias = "Callable[[list[commands.Command]], None]"


class Script(Protocol):
    def __call__(self, command: commands.Think, /) -> Line: ...


def answers(lines: Mapping[str, Line]) -> Script:
    """Return a brain that answers what it hears by a table, and repeats anything else."""

    def script(command: commands.Think) -> Line:
        last = last_message(command)
        said = last.text if last.role == language_pb2.ROLE_CALLER else f"tool {last.text}"
        line = lines.get(said, f"You said {said}.")
        return [line] if isinstance(line, str) else line

    return script


class Replica:
    """An orchestrator that conducts the call until it dies."""

    def __init__(
        self, world: World, facts: CallFacts, journal: Sequence[Entry], send: Send
    ) -> None:
        """``send`` brings messages to the gateway."""
        self._world = world
        self._send = send
        self.alive = True
        self.name = facts.replica
        self.twin, memory = fold(journal), fold(journal)
        self.wanted = memory.consumed_offset
        self.conversation = Conversation(world.bot, facts, memory, WALL_OFFSET)
        self._ear = ModelEar(world.gateway.words, self._deliver, world.faults)
        self._mind = ModelMind(world.script, self._deliver, world.faults)
        self._voice = ModelVoice(world.clock, self._deliver, world.faults)
        self._do: dict[type, Callable[[Any], None]] = {
            commands.Listen: self._ear.listen,
            commands.Hear: self._ear.hear,
            commands.Conclude: self._ear.conclude,
            commands.StopListening: self._ear.stop,
            commands.Think: self._mind.think,
            commands.StopThinking: lambda _: self._mind.stop(),
            commands.Speak: self._voice.speak,
            commands.Say: self._voice.say,
            commands.FinishSpeaking: self._voice.finish,
            commands.StopSpeaking: self._voice.stop,
            commands.CallTool: lambda command: world.tools.call(command, self._deliver),
            commands.CancelTool: lambda command: world.tools.cancelled.append(command.key),
            commands.Blame: lambda _: None,
            commands.Note: lambda _: None,
        }

    def start(self) -> None:
        self._carry_out(self.conversation.start(self._world.clock.now))

    def handle(self, event: events.Event) -> None:
        if self.alive:
            self._carry_out(self.conversation.handle(event, self._world.clock.now))

    def _deliver(self, seconds: float, event: events.Event) -> None:
        self._world.clock.after(seconds, lambda: self.handle(event))

    def _carry_out(self, todo: list[commands.Command]) -> None:
        world = self._world
        for command in todo:
            self._check(command)
            if self.alive:
                world.trace.command(command)
        for batch in _messages(todo):
            if isinstance(batch[0], FOR_GATEWAY):
                world.clock.after(LINK_SECONDS, lambda batch=batch: self._arrive(batch))  # type: ignore[misc]
            else:
                self._do[type(batch[0])](batch[0])
        assert self.twin == self.conversation.memory, "the journal and the memory differ"
        self._set_alarm()

    def _arrive(self, batch: list[commands.Command]) -> None:
        if self.alive:
            self._send(batch)

    def _set_alarm(self) -> None:
        due = self.conversation.next_deadline
        if due is not None and due < NEVER:
            self._world.clock.at(due, self._alarm)

    def _alarm(self) -> None:
        now, due = self._world.clock.now, self.conversation.next_deadline
        if self.alive and due is not None and due <= now:
            self._carry_out(self.conversation.handle_timer(now))

    def _check(self, command: commands.Command) -> None:
        """See that entries come before their effects, and in order."""
        twin = self.twin
        match command:
            case commands.Write(entry):
                assert entry.consumed_offset >= twin.consumed_offset, "consumed went back"
                remember(twin, copy.deepcopy(entry))
                if entry.HasField("compacted"):
                    assert fold([entry]) == twin, "a compaction lacks something"
            case commands.Say(_, sentence, text):
                assert twin.sentences[sentence].text.endswith(text)
                assert twin.sentences[sentence].end_offset is None, "said already"
            case commands.SendAudio():
                unsaid = [s for s in twin.sentences.values() if s.end_offset is None]
                assert unsaid, "audio of no sentence"
            case commands.CallTool(key, name, _):
                assert twin.tools[key].name == name
                assert not twin.tools[key].answered, "a tool is called that has answered"
            case commands.Act(key):
                assert key in twin.actions
            case commands.Ack(received, committed):
                assert committed <= received


def _messages(todo: list[commands.Command]) -> list[list[commands.Command]]:
    """Return the commands as they travel: entries in a row are one message."""
    messages: list[list[commands.Command]] = []
    for command in todo:
        last = messages[-1][-1] if messages else None
        if isinstance(command, commands.Write) and isinstance(last, commands.Write):
            messages[-1].append(command)
        else:
            messages.append([command])
    return messages


class World:
    """One call, from greeting to goodbye."""

    def __init__(self, bot: Bot, script: Script | None = None) -> None:
        self.bot = bot
        self.script = script or answers({})
        self.clock = Clock()
        self.trace = Trace(self.clock)
        self.faults = Faults()
        self.tools = ModelTools()
        self.gateway = ModelGateway(self.clock, self.trace.line, barge_in=bot.barge_in.enabled)
        self.replica: Replica | None = None
        self._replicas = 0
        self.cuts = 0

    @property
    def memory(self) -> Memory:
        """What the gateway's journal adds up to."""
        return fold(self.gateway.journal.entries)

    # The link.

    def open(self) -> Replica:
        """Open the session on a new replica."""
        self._replicas += 1
        gateway = self.gateway
        facts = CallFacts(
            call_id="call",
            bot=self.bot.name,
            rate=RATE,
            replica=f"orchestrator-{self._replicas}",
            buffered_offset=gateway.playout.held,
            played_offset=gateway.playout.heard,
        )
        replica = self.replica = Replica(self, facts, gateway.journal.open_part, gateway.take_all)
        self.trace.line("link", f"opens {replica.name}, wanted {replica.wanted / RATE:.2f} s")
        replica.start()
        self.gateway.connect(self._sender(replica), replica.wanted)
        return replica

    def cut(self) -> None:
        """Cut the link: whatever is on the way is lost, and the replica is dead."""
        if self.replica:
            self.trace.line("link", f"{self.replica.name} dies")
            self.replica.alive = False
        self.replica = None
        self.gateway.disconnect()
        self.cuts += 1

    def crash(self, seconds: float = 0.0) -> None:
        """Cut the link and open it again on another replica after a while."""
        self.cut()
        self.clock.after(seconds, self._reopen)

    def _reopen(self) -> None:
        if self.replica is None and not self.gateway.said_bye:
            self.open()

    def _sender(self, replica: Replica) -> Callable[[events.Event], None]:
        def send(event: events.Event) -> None:
            self.clock.after(LINK_SECONDS, lambda: replica.handle(event))

        return send

    # The story.

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        """Go on until something is true."""
        end = self.clock.now + seconds
        while not done():
            assert self.clock.next_time <= end, "waited in vain"
            self.clock.step()

    def until_quiet(self) -> None:
        """Go on until nobody has said or sent anything for a second."""
        latest = self.clock.now + LONGEST_SECONDS
        while True:
            assert self.clock.now < latest, "it never becomes quiet"
            end = self.gateway.last_message + QUIET_SECONDS
            there = self.replica or self.gateway.said_bye
            if there and self.gateway.still and self.clock.next_time > end:
                self.clock.run(max(0.0, end - self.clock.now))
                return
            self.clock.step()

    def caller_says(self, text: str) -> None:
        """Speak, and go on until the gateway has noticed the end of it."""
        self.gateway.caller_begins(text)
        self.clock.run(0.1)
        self.until(lambda: not self.gateway.speaking)

    def bot_plays(self, seconds: float) -> None:
        """Go on until the bot was heard for so long from now on."""
        start = self.gateway.playout.heard
        end = start + int(seconds * RATE)
        while self.gateway.playout.heard < end:
            missing = (end - self.gateway.playout.heard) / RATE
            playing = self.gateway.playout.playing
            if playing and self.clock.now + missing < self.clock.next_time:
                self.clock.run(missing)
                continue
            assert self.clock.next_time < NEVER, "the bot does not speak"
            self.clock.step()

    def finish(self) -> None:
        """Hang up if nobody has, and go on until the orchestrator has said goodbye."""
        self.gateway.call_ends("caller_hung_up")
        self.until(lambda: self.gateway.said_bye)
        self.check()

    # What was said, in the end.

    def check(self) -> None:
        """See that what the gateway holds is what the journal says it is."""
        for sentence in self.memory.sentences.values():
            if sentence.start_offset is None or sentence.end_offset is None:
                continue
            held = self.gateway.playout.samples[sentence.start_offset : sentence.end_offset]
            # A flush may have overtaken the last of it.
            missing = {o for s, e in self.gateway.playout.silenced for o in range(s, e)}
            sound = sound_of(sentence.text)
            assert held.size == sound.size, f"{sentence} has another length"
            differ = (
                [i for i in range(sound.size) if held[i] != sound[i]]
                if missing
                else ([] if (held == sound).all() else [0])
            )
            wrong = [i for i in differ if sentence.start_offset + i not in missing]
            assert not wrong, f"{sentence} sounds wrong from {wrong[0]}"

    @property
    def caller_text(self) -> list[str]:
        """Everything the caller said, by the journal."""
        return [e.caller_said.text for e in self.gateway.journal.entries if e.caller_said.text]

    @property
    def bot_text(self) -> list[str]:
        """Every sentence of the bot, heard or not."""
        return [sentence.text for sentence in self.memory.sentences.values()]


__all__ = ["Call", "World", "answers"]
