"""Rules of the layout that no linter knows; each is read off the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PARTS = ("gateway", "orchestrator", "adapters", "mesh")
SHARED = "voicemesh"
GENERATED = ROOT / "voicemesh" / "api"
SLEEPERS = {"time", "asyncio"}


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


def nonzero_sleeps(path: Path) -> list[int]:
    """Return the lines on which a file waits for time to pass."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        function = node.func
        of_clock = isinstance(function.value, ast.Name) and function.value.id in SLEEPERS
        yields = bool(node.args) and ast.unparse(node.args[0]) == "0"
        if function.attr == "sleep" and of_clock and not yields:
            lines.append(node.lineno)
    return lines


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
    # In-process imports from these modules under other names would hide a sleep: none may.
    hidden = {"time.sleep", "asyncio.sleep"}
    assert not [str(path) for path in sources("tests") if imported(path) & hidden]
    waits = {str(path): nonzero_sleeps(path) for path in sources("tests")}
    assert not {path: lines for path, lines in waits.items() if lines}


def test_the_rules_catch_what_they_are_for(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "def f():\n    from gateway.call import Call\n    from unittest import mock\n"
        "async def g():\n    await asyncio.sleep(0.1)\n    await asyncio.sleep(0)\n"
    )
    assert "gateway" in tops(bad)
    assert "unittest.mock" in imported(bad)
    assert nonzero_sleeps(bad) == [5]
