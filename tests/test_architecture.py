"""Rules of the layout that no linter knows; each is read off the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PARTS = ("gateway", "orchestrator", "adapters", "mesh", "sip")
SHARED = "voicemesh"
GENERATED = ROOT / "voicemesh" / "api"
SLEEPERS = {"time", "asyncio"}
LONGEST_LOOK = 0.05  # seconds


def sources(package: str) -> Iterator[Path]:
    for path in sorted((ROOT / package).rglob("*.py")):
        if GENERATED not in path.parents and "node_modules" not in path.parts:
            yield path


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in the file it does so."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules |= {node.module or "", *(f"{node.module}.{a.name}" for a in node.names)}
    return modules


def tops(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imported(path)}


def is_sleep(node: ast.AST) -> bool:
    """Return whether this waits for time to pass; sleep(0) only lets others run."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    of_clock = isinstance(node.func.value, ast.Name) and node.func.value.id in SLEEPERS
    yields = bool(node.args) and ast.unparse(node.args[0]) == "0"
    return node.func.attr == "sleep" and of_clock and not yields


def is_short(sleep: ast.Call) -> bool:
    duration = sleep.args[0] if sleep.args else None
    return isinstance(duration, ast.Constant) and float(str(duration.value)) <= LONGEST_LOOK


def waits(path: Path) -> list[int]:
    """Return the lines on which a file waits for time to pass.

    A short sleep in a `while` loop looks again at something that tells nobody when it changes,
    such as another process: that is allowed.
    """
    tree = ast.parse(path.read_text())
    looks = {
        inner
        for loop in ast.walk(tree)
        if isinstance(loop, ast.While)
        for inner in ast.walk(loop)
        if isinstance(inner, ast.Call) and is_sleep(inner) and is_short(inner)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and is_sleep(node) and node not in looks
    ]


@pytest.mark.parametrize("part", PARTS)
def test_no_part_imports_another(part: str) -> None:
    others = set(PARTS) - {part}
    wrong = {str(path): tops(path) & others for path in sources(part) if tops(path) & others}
    assert not wrong


def test_what_is_shared_imports_no_part() -> None:
    wrong = {str(path): tops(path) & set(PARTS) for path in sources(SHARED)}
    assert not {path: parts for path, parts in wrong.items() if parts}


@pytest.mark.parametrize("package", [*PARTS, SHARED, "tests"])
def test_nothing_is_mocked(package: str) -> None:
    assert not [str(path) for path in sources(package) if "unittest.mock" in imported(path)]


def test_no_test_waits_for_time_to_pass() -> None:
    # Imported under its own name, a sleep would hide from the rule.
    hidden = {"time.sleep", "asyncio.sleep"}
    assert not [str(path) for path in sources("tests") if imported(path) & hidden]
    found = {str(path): waits(path) for path in sources("tests")}
    assert not {path: lines for path, lines in found.items() if lines}


def test_the_rules_catch_what_they_are_for(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "def f():\n    from gateway.call import Call\n    from unittest import mock\n"
        "async def g():\n    await asyncio.sleep(0.01)\n    await asyncio.sleep(0)\n"
        "    while look():\n        time.sleep(0.01)\n        time.sleep(1)\n"
    )
    assert "gateway" in tops(bad)
    assert "unittest.mock" in imported(bad)
    assert waits(bad) == [5, 9]
