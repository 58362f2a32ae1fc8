"""The bot's mind: the brain is asked, tools are called, words become planned sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.commands import CallTool, StopThinking, Think
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

BUILT_IN = (HANG_UP, TRANSFER)
MAX_ROUNDS = 6
"""Times a brain is asked within one turn; then it must have answered without tools."""


class Thinking:
    """Works out the answer to one turn at a time."""

    def __init__(self, ledger: Ledger, bot: Bot, call_id: str, speaking: Speaking) -> None:
        self._ledger = ledger
        self._bot = bot
        self._call_id = call_id
        self._speaking = speaking
        self._choices = bot.engines.llm
        self._thought = 0
        self._attempt = 0
        self._turn: Turn | None = None
        self._waiting = False
        """Whether the brain is at it."""
        self._cutter = SentenceCutter()
        self._skip = 0
        """Sentences that the brain will repeat, since they are in the journal already."""

    @property
    def turn(self) -> Turn | None:
        """The turn that is being answered, or None."""
        return self._turn

    @property
    def thought(self) -> int:
        """Number of the last thought."""
        return self._thought

    @property
    def choice(self) -> LanguageChoice:
        """The engine that is asked."""
        return self._choices[self._attempt % len(self._choices)]

    def answer(self, turn: Turn) -> None:
        """Begin, or after a resume go on with, the answer to a turn."""
        self._turn = turn
        self._attempt = 0
        if turn.literal:
            self._repeat_after_resume(turn)
            self._plan([*self._cutter.feed(turn.literal + " "), *self._cutter.finish()])
            self._finish()
        else:
            self._go_on()

    def text_arrived(self, thought: int, text: str) -> bool:
        """Plan what can be spoken now; return False if these are not the words waited for."""
        if not self._is_waited_for(thought):
            return False
        self._await_words()
        self._plan(self._cutter.feed(text))
        return True

    def tool_requested(self, event: ToolRequested) -> None:
        """Journal the intent; it is called when the brain has finished."""
        turn = self._turn
        if turn is None or not self._is_waited_for(event.thought):
            return
        self._await_words()
        self._plan(self._cutter.finish())
        memory = self._ledger.memory
        key = f"{self._call_id}-{len(memory.tools)}"
        intended = journal_pb2.ToolIntended(
            key=key, turn=turn.number, name=event.name, arguments_json=event.arguments_json
        )
        self._ledger.write("tool_intended", intended)
        tool = self._bot.tool(event.name)
        if event.name in BUILT_IN:
            self._note_answer(key, "{}", "")
        elif tool is None:
            self._note_answer(key, "", f"there is no tool {event.name!r}")
        else:
            if tool.filler and not turn.sentences:
                self._plan([tool.filler])
            self._ledger.emit(CallTool(key, event.name, event.arguments_json))

    def tool_returned(self, event: ToolReturned) -> bool:
        """Journal the answer; return whether the turn's last pending tool answered."""
        tool = self._ledger.memory.tools.get(event.key)
        if tool is None or tool.answered:
            return False
        self._note_answer(event.key, event.result_json, event.error)
        return self._turn is not None and self._go_on_if_answered(self._turn)

    def finished(self, thought: int) -> None:
        """Ask again if tools were called, else end the answer."""
        turn = self._turn
        if turn is None or not self._is_waited_for(thought):
            return
        self._waiting = False
        self._ledger.clear_deadline(WORDS)
        self._plan(self._cutter.finish())
        if not self._go_on_if_answered(turn) and not self._ledger.memory.pending_tools():
            self._finish()

    def failed(self, thought: int) -> bool:
        """Ask the next engine; return False if none is left."""
        if not self._is_waited_for(thought):
            return True
        self._stop()
        self._attempt += 1
        if self._attempt > len(self._choices):
            return False
        self._go_on()
        return True

    def stop(self) -> None:
        """Give the answer up."""
        self._stop()
        self._turn = None

    def add(self, text: str) -> None:
        """Say something of another's within the answer."""
        self._plan([text])

    def give_up(self) -> None:
        """End the answer with what was said of it."""
        self._finish()

    def resume_tools(self) -> None:
        """Call the tools again, with their keys, whose answers are not in the journal."""
        for tool in self._ledger.memory.pending_tools():
            self._ledger.emit(CallTool(tool.key, tool.name, tool.arguments_json))

    def _go_on_if_answered(self, turn: Turn) -> bool:
        """Ask again if tools were called since the brain was asked and all have answered."""
        if self._waiting or self._ledger.memory.pending_tools() or not _awaits_words(turn):
            return False
        self._go_on()
        return True

    def _go_on(self) -> None:
        turn = self._turn
        # What a caller said while a tool was at work is answered when the tool has answered.
        if turn is None or self._ledger.memory.pending_tools():
            return
        self._repeat_after_resume(turn)
        self._thought += 1
        self._waiting = True
        prompt = compose(self._bot, self._ledger.memory, self._call_id)
        self._ledger.emit(Think(self._thought, prompt, self.choice))
        self._await_words()

    def _await_words(self) -> None:
        """Expect the brain's next sign of life: the first words, and all words after them."""
        self._ledger.set_deadline(WORDS, self.choice.deadline_seconds)

    def _repeat_after_resume(self, turn: Turn) -> None:
        self._cutter = SentenceCutter()
        self._skip = 0
        for part in turn.parts:
            self._skip = self._skip + 1 if isinstance(part, Sentence) else 0

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

    def _note_answer(self, key: str, result_json: str, error: str) -> None:
        answered = journal_pb2.ToolAnswered(key=key, result_json=result_json, error=error)
        self._ledger.write("tool_answered", answered)

    def _finish(self) -> None:
        turn, self._turn = self._turn, None
        self._stop()
        if turn and turn.reply is ReplyState.OPEN:
            self._ledger.write("reply_finished", journal_pb2.ReplyFinished(turn=turn.number))
            self._speaking.finish()

    def _stop(self) -> None:
        self._ledger.clear_deadline(WORDS)
        if self._waiting:
            self._waiting = False
            self._ledger.emit(StopThinking())

    def _is_waited_for(self, thought: int) -> bool:
        return self._waiting and thought == self._thought


def _awaits_words(turn: Turn) -> bool:
    """Whether the newest part of the turn is a tool whose answer the brain has not seen."""
    rounds = sum(isinstance(part, ToolUse) for part in turn.parts)
    last = turn.parts[-1] if turn.parts else None
    return isinstance(last, ToolUse) and last.name not in BUILT_IN and rounds < MAX_ROUNDS
