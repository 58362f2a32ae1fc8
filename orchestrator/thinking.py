"""The bot's mind: the brain is asked, tools are called, words become planned sentences.

A brain is asked in rounds. A round ends with words, or with tools whose answers the next round
takes into account. Its tools are journalled when it is complete, so a round that broke off is
asked again from its beginning; the sentences it had are in the journal and are skipped.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator.attempts import Attempts
from orchestrator.commands import Blame, CallTool, StopThinking, Think
from orchestrator.prompt import compose
from orchestrator.sentences import SentenceCutter
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.bots import HANG_UP, TRANSFER
from voicemesh.journal import ReplyState, Sentence, ToolUse

if TYPE_CHECKING:
    from orchestrator.events import ToolRequested, ToolReturned
    from orchestrator.ledger import Ledger
    from orchestrator.speaking import Speaking
    from voicemesh.bots import Bot, LanguageChoice
    from voicemesh.journal import Turn

WORDS = "words"
THINK_AGAIN = "think_again"

BUILT_IN = (HANG_UP, TRANSFER)
MAX_TOOLS = 8
"""Tools within one turn; a brain that wants more has lost its way."""


class Thinking:
    """Works out the answer to one turn at a time."""

    def __init__(self, ledger: Ledger, bot: Bot, call_id: str, speaking: Speaking) -> None:
        self._ledger = ledger
        self._bot = bot
        self._call_id = call_id
        self._speaking = speaking
        self._thought = 0
        self._attempts = Attempts(bot.engines.llm)
        self._turn: Turn | None = None
        self._asked = False
        """Whether the brain is at it."""
        self._cutter = SentenceCutter()
        self._skip = 0
        """Sentences that the brain will repeat, since they are in the journal already."""
        self._requested: list[ToolRequested] = []

    @property
    def turn(self) -> Turn | None:
        """The turn that is being answered, or None."""
        return self._turn

    @property
    def choice(self) -> LanguageChoice:
        """The engine that is asked."""
        return self._attempts.choice

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

    def text_arrived(self, thought: int, text: str) -> None:
        """Plan what can be spoken now."""
        if self.waits_for(thought):
            self._await_words()
            self._plan(self._cutter.feed(text))

    def tool_requested(self, event: ToolRequested) -> None:
        """Keep the request until the round is complete."""
        if self.waits_for(event.thought):
            self._await_words()
            self._requested.append(event)

    def finished(self, thought: int) -> bool:
        """End the round: call its tools, or end the answer. Return False if nobody can answer."""
        turn = self._turn
        if turn is None or not self.waits_for(thought):
            return True
        self._plan(self._cutter.finish())
        requested, self._requested = self._requested, []
        if not requested and not turn.sentences:
            return self.failed(thought, "had nothing to say", lasting=True)
        self._asked = False
        self._ledger.clear_deadline(WORDS)
        if len(turn.tools) + len(requested) > MAX_TOOLS:
            self._plan([self._bot.knowledge.unknown_reply])
            requested = []
        self._intend(turn, requested)
        if all(request.name in BUILT_IN for request in requested):
            self._finish()
        else:
            self._go_on()
        return True

    def failed(self, thought: int, problem: str, *, lasting: bool = False) -> bool:
        """Ask the next engine; return False if none is left."""
        if not self.waits_for(thought):
            return True
        self._ledger.emit(Blame("llm", self.choice.name, problem))
        self._stop()
        pause = self._attempts.failed(self._ledger.now, lasting=lasting)
        if pause is None:
            return False
        if pause:
            self._ledger.set_deadline(THINK_AGAIN, pause)
        else:
            self._ask()
        return True

    def words_missed(self) -> bool:
        """Give up on the brain: it fell silent. Return False if none is left."""
        return self.failed(self._thought, f"silent for {self.choice.deadline_seconds:g} s")

    def think_again(self) -> None:
        """Ask again after a pause."""
        self._ask()

    # Tools.

    def tool_returned(self, event: ToolReturned) -> bool:
        """Journal the answer; return whether the brain was asked again with it."""
        tool = self._ledger.memory.tools.get(event.key)
        if tool is None or tool.answered or self._ledger.memory.end_reason:
            return False
        self._note_answer(event.key, event.result_json, event.error)
        # The turn that waited for it may not be the one that wanted it.
        if self._turn is None or self._asked or self._ledger.has_deadline(THINK_AGAIN):
            return False
        self._go_on()
        return self._asked

    def resume_tools(self) -> None:
        """Call the tools again, with their keys, whose answers are not in the journal."""
        for tool in self._ledger.memory.pending_tools():
            self._ledger.emit(self._call(tool.key, tool.name, tool.arguments_json))

    def _intend(self, turn: Turn, requested: list[ToolRequested]) -> None:
        """Journal the tools of a round and call them."""
        fillers = [tool.filler for each in requested if (tool := self._bot.tool(each.name))]
        if any(fillers) and not turn.sentences:
            self._plan([next(filter(None, fillers))])
        calls = [self._intend_one(turn, request) for request in requested]
        for call in filter(None, calls):
            self._ledger.emit(call)

    def _intend_one(self, turn: Turn, request: ToolRequested) -> CallTool | None:
        key = self._key(request)
        intended = journal_pb2.ToolIntended(
            key=key, turn=turn.number, name=request.name, arguments_json=request.arguments_json
        )
        self._ledger.write("tool_intended", intended)
        if request.name in BUILT_IN:
            self._note_answer(key, "{}", "")
        elif self._bot.tool(request.name) is None:
            self._note_answer(key, "", f"there is no tool {request.name!r}")
        else:
            return self._call(key, request.name, request.arguments_json)
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

    def _note_answer(self, key: str, result_json: str, error: str) -> None:
        answered = journal_pb2.ToolAnswered(key=key, result_json=result_json, error=error)
        self._ledger.write("tool_answered", answered)

    # Ends.

    def stop(self) -> None:
        """Give the answer up."""
        self._stop()
        self._turn = None

    def give_up(self) -> None:
        """End the answer with what was said of it."""
        self._finish()

    def _finish(self) -> None:
        turn = self._turn
        self.stop()
        if turn and turn.reply is ReplyState.OPEN:
            self._ledger.write("reply_finished", journal_pb2.ReplyFinished(turn=turn.number))

    def _stop(self) -> None:
        self._ledger.clear_deadline(WORDS, THINK_AGAIN)
        self._requested = []
        if self._asked:
            self._asked = False
            self._ledger.emit(StopThinking())

    # Asking.

    def _go_on(self) -> None:
        turn = self._turn
        # What a caller said while a tool was at work is answered when the tool has answered.
        if turn is None or self._ledger.memory.pending_tools():
            return
        last = turn.parts[-1] if turn.parts else None
        if isinstance(last, ToolUse) and last.name in BUILT_IN:
            self._finish()
            return
        self._attempts = Attempts(self._bot.engines.llm)
        self._attempts.hurry(self._ledger.now)
        self._ask()

    def _ask(self) -> None:
        if self._turn is None:
            return
        self._begin_round(self._turn)
        self._thought += 1
        self._asked = True
        prompt = compose(self._bot, self._ledger.memory, self._call_id)
        self._ledger.emit(Think(self._thought, prompt, self.choice))
        self._await_words()

    def _begin_round(self, turn: Turn) -> None:
        self._cutter = SentenceCutter()
        self._requested = []
        self._skip = 0
        for part in turn.parts:
            self._skip = self._skip + 1 if isinstance(part, Sentence) else 0

    def _await_words(self) -> None:
        """Expect the brain's next sign of life: the first words, and all words after them."""
        self._ledger.set_deadline(WORDS, self.choice.deadline_seconds)

    def _plan(self, pieces: list[str]) -> None:
        turn = self._turn
        if turn is None:
            return
        for text in pieces:
            if self._skip:
                self._skip -= 1
                continue
            number = self._ledger.memory.next_sentence
            planned = journal_pb2.SentencePlanned(turn=turn.number, sentence=number, text=text)
            self._ledger.write("sentence_planned", planned)
            self._speaking.say(turn.number, self._ledger.memory.sentences[number])

    def waits_for(self, thought: int) -> bool:
        """Whether the brain is at this thought."""
        return self._asked and thought == self._thought
