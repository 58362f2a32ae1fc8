from __future__ import annotations

from orchestrator.events import Commanded
from orchestrator.ledger import Ledger
from orchestrator.wishes import MAX_DONE, Wishes
from voicemesh.api.journal.v1 import journal_pb2
from voicemesh.journal import Memory


def test_done_wishes_are_remembered_but_not_for_ever() -> None:
    memory = Memory()
    ledger = Ledger(memory, 0.0)
    ledger.write("call_started", journal_pb2.CallStarted())
    wishes = Wishes(ledger)
    assert wishes.take(Commanded(0, "first", "hang_up", ""))
    assert wishes.take(Commanded(1, "waits", "say", "Hello."))
    for number in range(MAX_DONE):
        assert wishes.take(Commanded(2 + number, f"k{number}", "hang_up", ""))
    assert not wishes.take(Commanded(100, f"k{MAX_DONE - 1}", "hang_up", ""))
    assert len(memory.notes) == MAX_DONE + 1
    assert wishes.next_words() == "Hello."
    assert wishes.take(Commanded(101, "first", "hang_up", ""))
