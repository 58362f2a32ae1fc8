"""The `voicemesh` command inside the test's own process."""

from __future__ import annotations

from typer.testing import CliRunner

from voicemesh.cli import build


def told(*arguments: str, code: int = 0) -> str:
    """Return what a command writes to its output; raise what it raises."""
    found = CliRunner().invoke(build(), arguments, env={"NO_COLOR": "1"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == code, found.output
    return found.stdout
