"""Breaks rules of the session protocol in a copy of the code, and sees that tests fail.

``python -m tests.chaos.mutations [NAME ...]`` tries each in turn and names a test that finds it;
``MUTATIONS.md`` says what each means. It fails if one is not found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("voicemesh", "gateway", "orchestrator", "tests", "protos", "pyproject.toml")
TESTS = (
    "tests/chaos/test_joined.py",
    "tests/orchestrator/test_resume.py",
    "tests/orchestrator/test_interleavings.py",
)
SECONDS = 900


@dataclass(frozen=True)
class Mutation:
    """A rule that is broken by replacing one piece of one file."""

    name: str
    path: str
    old: str
    new: str


MUTATIONS = (
    Mutation(
        "commit before journal",
        "orchestrator/ledger.py",
        "acked = (self._received, min(self._committed, self._received))",
        "acked = (self._received, self._received)",
    ),
    Mutation(
        "effect before entry",
        "orchestrator/ledger.py",
        "out, self._out = self._out, []",
        "out, self._out = sorted(self._out, key=lambda each: isinstance(each, Write)), []",
    ),
    Mutation(
        "replay from what was received",
        "gateway/outbox.py",
        "        self._waiting = again + self._waiting\n        self.waiting",
        "        self.waiting",
    ),
    Mutation(
        "nothing is replayed that was sent",
        "gateway/uplink.py",
        "self.outbox.rewind(wanted)",
        "self.outbox.rewind(max(wanted, self.outbox.received))",
    ),
    Mutation(
        "half a sentence is spoken again from its beginning",
        "orchestrator/speaking.py",
        "self.cursor = max(ledger.memory.bot_offset, held_offset)",
        "self.cursor = ledger.memory.bot_offset",
    ),
    Mutation(
        "a new key for a pending tool",
        "orchestrator/thinking.py",
        "self._call(tool.key, tool.name, tool.arguments_json)",
        'self._call(tool.key + "-again", tool.name, tool.arguments_json)',
    ),
    Mutation(
        "one key for two things",
        "orchestrator/thinking.py",
        "{self._ledger.memory.tools_intended}-{digest}",
        "{self._ledger.memory.tools_intended}",
    ),
    Mutation(
        "a tool before its intent is kept",
        "orchestrator/ledger.py",
        "        if self._told:\n",
        "        if False:\n",
    ),
    Mutation(
        "a pending tool is not called again",
        "orchestrator/turns.py",
        "self._parts.thinking.resume_tools()",
        "pass",
    ),
    Mutation(
        "a session that knows too little is taken",
        "gateway/link.py",
        "stale = self._known.get(stream) != self._user.next_sequence()",
        "stale = False",
    ),
    Mutation(
        "a ghost is listened to",
        "gateway/link.py",
        "        if stream != self._state.current:\n            return\n        if kind",
        "        if kind",
    ),
    Mutation(
        "a flush that was lost is not sent again",
        "orchestrator/floor.py",
        "if owed:",
        "if False:",
    ),
    Mutation(
        "words that are in the journal are heard again",
        "orchestrator/hearing.py",
        "self._known_offset = ledger.memory.said_offset",
        "self._known_offset = 0",
    ),
    Mutation(
        "a new session is not told what was heard",
        "gateway/call.py",
        "*self._tell_new_session(now), ",
        "",
    ),
)


def found_by(mutation: Mutation) -> str:
    """Return the name of a test that fails with the mutation; empty if none does."""
    with tempfile.TemporaryDirectory(prefix="mutation") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        changed = copy / mutation.path
        text = changed.read_text()
        if mutation.old not in text:
            raise SystemExit(f"{mutation.name}: {mutation.path} has changed; mend this list")
        changed.write_text(text.replace(mutation.old, mutation.new, 1))
        options = ("-qx", "--show-capture=no", "--hypothesis-profile=hasty")
        command = (sys.executable, "-m", "pytest", *options, *TESTS)
        environment = {**os.environ, "PYTHONPATH": folder}
        run = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    failed = [line for line in run.stdout.splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ").partition(" - ")[0] if failed else ""


def main(names: list[str]) -> int:
    missed = 0
    for mutation in [each for each in MUTATIONS if not names or each.name in names]:
        test = found_by(mutation)
        missed += not test
        sys.stdout.write(f"{mutation.name}: {test or 'NOT FOUND'}\n")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
