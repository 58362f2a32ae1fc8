"""The bot's mind: the brain is asked, tools are called, words become planned sentences.

A brain is asked in rounds. A round ends with words, or with tools whose answers the next round
takes into account. Its tools are journalled when it is complete, so a round that broke off is
asked again from its beginning; the sentences it had are in the journal and are skipped.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator import built_in
from orchestrator.commands import CallTool, CancelTool, StopThinking, Think
from orchestrator.prompt import compose
from orchestrator.race import Race
from orchestrator.sentences import SentenceCutter
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots.built_in import BUILT_IN
from voicemesh.journal import ReplyState, Sentence

if TYPE_CHECKING:
    from orchestrator.course import Course
    from orchestrator.events import ToolRequested, ToolReturned
    from orchestrator.ledger import Ledger
    from orchestrator.speaking import Speaking
    from voicemesh.bots import Bot, LanguageChoice
    from voicemesh.journal import Turn

WORDS = "words"
FILLER = "filler"
CANCELLED = "cancelled: the caller interrupted"


MAX_TOOLS = 8
"""Tools within one turn; a brain that wants more has lost its way."""


class Thinking:
    """Works out the answer to one turn at a time."""

    def __init__(
        self,
        ledger: Ledger,
        bot: Bot,
        call_id: str,
        speaking: Speaking,
        course: Course[LanguageChoice],
    ) -> None:
        self._ledger = ledger
        self._bot = bot
        self._call_id = call_id
        self._speaking = speaking
        self._thought = 0
        self._race: Race[LanguageChoice, int] = Race(course, ledger, WORDS, self)
        self._turn: Turn | None = None
        self._cutter = SentenceCutter()
        self._skip = 0
        """Sentences that the brain will repeat, since they are in the journal already."""
        self._requested: list[ToolRequested] = []
        self._room = 0
        """Characters that this reply may still have."""

    @property
    def _here(self) -> Bot:
        """The bot as it is in its state."""
        return self._bot.in_state(built_in.flow_state(self._ledger.memory))

    @property
    def turn(self) -> Turn | None:
        """The turn that is being answered, or None."""
        return self._turn

    @property
    def choice(self) -> LanguageChoice:
        """The engine that is asked."""
        return self._race.choice

    def answer(self, turn: Turn) -> None:
        """Begin, or after a resume go on with, the answer to a turn."""
        self._turn = turn
        if turn.literal:
            self._begin_round(turn)
            self._plan([*self._cutter.feed(turn.literal), *self._cutter.finish()])
            self._finish()
        else:
            self._go_on()

    # What the brain says.

    def takes(self, thought: int, text: str = "") -> bool:
        """Whether words, or without them a tool, count: another engine may have been faster."""
        if not self._race.has(thought):
            return False
        self._ledger.clear_deadline(FILLER)
        # Blanks are no result, but may stand between words.
        return self._race.won if text and text.isspace() else self._race.result(thought)

    def text_arrived(self, text: str) -> None:
        """Plan what can be spoken now."""
        self._plan(self._cutter.feed(text))

    def tool_requested(self, event: ToolRequested) -> None:
        """Keep the request until the round is complete."""
        self._requested.append(event)

    def finished(self, thought: int) -> bool:
        """End the round: call its tools, or end the answer. Return False if nobody can answer."""
        turn = self._turn
        if turn is None or not self._race.leads(thought):
            # One that did not win had nothing to say.
            return self.failed(thought, "had nothing to say", lasting=True)
        self._plan(self._cutter.finish())
        requested, self._requested = self._requested, []
        if not requested and all(sentence.aside for sentence in turn.sentences):
            return self.failed(thought, "had nothing to say", lasting=True)
        self._race.finish()
        self._ledger.clear_deadline(FILLER)
        if len(turn.tools) + len(requested) > MAX_TOOLS:
            self._plan([self._bot.knowledge.unknown_reply])
            requested = []
        self._intend(turn, requested)
        if requested:
            self._go_on()
        else:
            self._finish()
        return True

    def failed(self, thought: int, problem: str, *, lasting: bool = False) -> bool:
        """Ask the next engine; return False if none is left."""
        return self._race.failed(thought, problem, lasting=lasting)

    def tick(self) -> bool:
        """Turn to another engine: one is silent, slow, or was waited with."""
        return self._race.tick()

    def bridge(self) -> None:
        """Say the filler: the brain is slow to begin."""
        turn = self._turn
        if turn is not None and not self._race.won:
            self._plan_one(turn, self._bot.brain.filler, aside=True)

    # Tools.

    def tool_returned(self, event: ToolReturned) -> bool:
        """Journal the answer; return whether the brain was asked again with it."""
        tool = self._ledger.memory.tools.get(event.key)
        if tool is None or tool.answered or self._ledger.memory.end_reason:
            return False
        self._note_answer(event.key, event.result_json, event.error)
        # The turn that waited for it may not be the one that wanted it.
        if self._turn is None or self._race.running or self._race.pausing:
            return False
        self._go_on()
        return self._race.running

    def resume_tools(self) -> None:
        """Call the tools again, with their keys, whose answers are not in the journal."""
        for tool in self._ledger.memory.pending_tools():
            if tool.name in BUILT_IN:
                self._carry_out(tool.key, tool.name, tool.arguments_json)
            else:
                self._ledger.emit(self._call(tool.key, tool.name, tool.arguments_json))

    def _intend(self, turn: Turn, requested: list[ToolRequested]) -> None:
        """Journal the tools of a round and call them."""
        here = self._here
        fillers = [tool.filler for each in requested if (tool := here.tool(each.name))]
        if any(fillers) and not turn.sentences:
            self._plan_one(turn, next(filter(None, fillers)), aside=True)
        calls = [self._intend_one(turn, request) for request in requested]
        for call in filter(None, calls):
            self._ledger.emit_when_kept(*call)

    def _intend_one(self, turn: Turn, request: ToolRequested) -> tuple[CallTool, int] | None:
        """Journal one; return the call and the number of the entry behind its intent."""
        key = self._key(request)
        intended = journal_pb2.ToolIntended(
            key=key, turn=turn.number, name=request.name, arguments_json=request.arguments_json
        )
        self._ledger.write("tool_intended", intended)
        if request.name in BUILT_IN:
            self._carry_out(key, request.name, request.arguments_json)
        elif self._here.tool(request.name) is None:
            self._note_answer(key, "", f"there is no tool {request.name!r}")
        else:
            call = self._call(key, request.name, request.arguments_json)
            return call, self._ledger.memory.next_sequence
        return None

    def _key(self, request: ToolRequested) -> str:
        """Return a key that nobody uses for anything else.

        Not even a ghost that counts like this session, but whose brain wanted something else.
        """
        wanted = f"{request.name} {request.arguments_json}".encode()
        digest = hashlib.sha256(wanted).hexdigest()[:8]
        return f"{self._call_id}-{self._ledger.memory.tools_intended}-{digest}"

    def _call(self, key: str, name: str, arguments_json: str) -> CallTool:
        tool = self._bot.tool(name)
        secret = self._ledger.secret if tool and tool.secret_digits else ""
        return CallTool(key, name, arguments_json, secret)

    def _carry_out(self, key: str, name: str, arguments_json: str) -> None:
        done = built_in.carry_out(self._ledger, self._bot, name, arguments_json)
        self._note_answer(key, *done)

    def _cancel_tools(self, turn: Turn) -> None:
        """Give up the tools of an answer that may be left half done."""
        for use in turn.tools:
            tool = self._bot.tool(use.name)
            if not use.answered and tool is not None and tool.cancel_on_barge_in:
                self._note_answer(use.key, "", CANCELLED)
                self._ledger.emit(CancelTool(use.key))

    def _note_answer(self, key: str, result_json: str, error: str) -> None:
        answered = journal_pb2.ToolAnswered(key=key, result_json=result_json, error=error)
        self._ledger.write("tool_answered", answered)

    # Ends.

    def stop(self) -> None:
        """Give the answer up."""
        self._stop()
        if self._turn:
            self._cancel_tools(self._turn)
        self._turn = None

    def give_up(self) -> None:
        """End the answer with what was said of it."""
        self._finish()

    def _finish(self) -> None:
        turn = self._turn
        self._stop()
        self._turn = None
        if turn and turn.reply is ReplyState.OPEN:
            self._ledger.write("reply_finished", journal_pb2.ReplyFinished(turn=turn.number))

    def _stop(self) -> None:
        self._ledger.clear_deadline(FILLER)
        self._requested = []
        self._race.stop()

    # Asking.

    def _go_on(self) -> None:
        turn = self._turn
        # What a caller said while a tool was at work is answered when the tool has answered.
        if turn is None or self._ledger.memory.pending_tools():
            return
        if built_in.completes(turn):
            self._finish()
            return
        if self._bot.brain.filler and not turn.sentences:
            self._ledger.set_deadline(FILLER, self._bot.brain.filler_after_seconds)
        self._race.begin()
        self._race.wait()

    def open(self, entry: LanguageChoice) -> int:
        """Ask an engine; the sentences that the journal has will be skipped."""
        if self._turn is None:
            raise AssertionError("there is nothing to think about")
        self._begin_round(self._turn)
        self._thought += 1
        prompt = compose(self._here, self._ledger.memory, self._call_id)
        self._ledger.emit(Think(self._thought, prompt, entry))
        return self._thought

    def close(self, key: int) -> None:
        """Let an engine go."""
        self._ledger.emit(StopThinking(key))

    def _begin_round(self, turn: Turn) -> None:
        self._cutter = SentenceCutter()
        self._requested = []
        self._skip = 0
        self._room = self._bot.brain.most_characters
        for part in turn.parts:
            if not isinstance(part, Sentence):
                self._skip = 0
            elif not part.aside:
                self._skip += 1
                self._room -= len(part.text)

    def _plan(self, pieces: list[str]) -> None:
        turn = self._turn
        if turn is None:
            return
        for text in pieces:
            if self._skip:
                self._skip -= 1
            elif fitting := text if turn.literal else self._fitting(text):
                self._plan_one(turn, fitting)

    def _fitting(self, text: str) -> str:
        """Return what of a sentence the bot may still say: all or nothing, of the first a part."""
        room, self._room = self._room, max(0, self._room - len(text))
        if len(text) <= room:
            return text
        self._room = 0
        return text[:room].rpartition(" ")[0] if room == self._bot.brain.most_characters else ""

    def _plan_one(self, turn: Turn, text: str, *, aside: bool = False) -> None:
        number = self._ledger.memory.next_sentence
        engine = self.choice.name if self._race.won and not aside else ""
        planned = journal_pb2.SentencePlanned(
            turn=turn.number, sentence=number, text=text, engine=engine, aside=aside
        )
        self._ledger.write("sentence_planned", planned)
        self._speaking.say(turn.number, self._ledger.memory.sentences[number])
