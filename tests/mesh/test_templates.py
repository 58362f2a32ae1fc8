"""A process begins where its template has already been."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mesh.local.process import Command, Process, alive, tail
from mesh.local.templates import Templates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVICE = """
import os, signal, sys
sys.stdout.write(f"{os.environ['VOICEMESH_WHO']} {os.getpid()} {os.getppid()} {os.getpgid(0)}\\n")
sys.stdout.flush()
if os.environ["VOICEMESH_WHO"] == "mayfly":
    sys.exit(3)
signal.pause()
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    package = tmp_path / "slowpoke"
    package.mkdir()
    (package / "__init__.py").write_text("IMPORTS = open(__file__ + '.log', 'a').write('x')\n")
    (package / "__main__.py").write_text(f"if __name__ == '__main__':\n    exec({SERVICE!r})\n")
    return tmp_path


def command(folder: Path, who: str, module: str = "slowpoke") -> Command:
    root = str(Path(__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "VOICEMESH_WHO": who,
        "PYTHONPATH": os.pathsep.join([root, str(folder)]),
    }
    arguments = (sys.executable, "-m", "slowpoke")
    return Command(arguments, environment, folder / f"{who}.log", module)


@asynccontextmanager
async def templates() -> AsyncIterator[Templates]:
    kept = Templates()
    try:
        yield kept
    finally:
        await kept.renew()


async def said(process: Process, log: Path) -> list[str]:
    async with asyncio.timeout(15):
        while process.running:
            if words := tail(log).split():
                return words
            await asyncio.sleep(0.005)
    return tail(log).split()


def imports(folder: Path) -> int:
    return len((folder / "slowpoke" / "__init__.py.log").read_text())


def children() -> set[int]:
    """Return those of this process that are alive."""
    known = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in known if alive(int(pid))}


def title(process: Process) -> str:
    return Path(f"/proc/{process.pid}/cmdline").read_bytes().rstrip(b"\0").decode()


async def end(*processes: Process) -> None:
    for process in processes:
        process.kill()
        await process.wait()


async def test_each_is_our_child_with_its_own_environment_log_and_group(service: Path) -> None:
    async with templates() as kept:
        one, two = [await kept.start(command(service, who)) for who in ("one", "two")]
        for who, process in (("one", one), ("two", two)):
            pid = str(process.pid)
            assert await said(process, service / f"{who}.log") == [who, pid, str(os.getpid()), pid]
        assert imports(service) == 1
        assert title(one) == f"{sys.executable} -m slowpoke"
        await end(one, two)
        assert one.exit_code == -signal.SIGKILL


async def test_its_end_is_told_as_of_any_other(service: Path) -> None:
    async with templates() as kept:
        mayfly = await kept.start(command(service, "mayfly"))
        await asyncio.wait_for(mayfly.wait(), 15)
        assert mayfly.exit_code == 3


async def test_a_template_may_die_and_is_replaced(service: Path) -> None:
    async with templates() as kept:
        one = await kept.start(command(service, "one"))
        (template,) = kept._templates.values()
        await end(template._process)
        two = await kept.start(command(service, "two"))
        three = await kept.start(command(service, "three"))
        assert one.running
        assert two.running
        assert three.running
        await end(one, two, three)


async def test_what_a_library_may_read_as_it_is_imported_is_not_shared(service: Path) -> None:
    one, two = command(service, "one"), command(service, "two")
    threads = {**two.environment, "OMP_NUM_THREADS": "1"}
    async with templates() as kept:
        processes = [await kept.start(one), await kept.start(replace(two, environment=threads))]
        assert imports(service) == 2
        await end(*processes)


async def test_what_its_import_set_holds_for_each(service: Path) -> None:
    package = service / "slowpoke" / "__init__.py"
    package.write_text(
        "import os\nos.environ.setdefault('VOICEMESH_WHO', 'nobody')\n"
        "os.environ.setdefault('SET_BY_IMPORT', 'yes')\n"
    )
    main = service / "slowpoke" / "__main__.py"
    main.write_text(
        "if __name__ == '__main__':\n    import os\n"
        "    print(os.environ['VOICEMESH_WHO'], os.environ['SET_BY_IMPORT'])\n"
    )
    async with templates() as kept:
        process = await kept.start(command(service, "one"))
        await asyncio.wait_for(process.wait(), 15)
    assert tail(service / "one.log") == "one yes"


async def test_new_code_after_renewal(service: Path) -> None:
    async with templates() as kept:
        one = await kept.start(command(service, "one"))
        await kept.renew()
        two = await kept.start(command(service, "two"))
        assert one.running
        assert imports(service) == 2
        await end(one, two)


async def test_a_start_that_is_given_up_leaves_nothing(service: Path) -> None:
    before = children()
    async with templates() as kept:
        starting = asyncio.create_task(kept.start(command(service, "lost")))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        one = await kept.start(command(service, "one"))
        (template,) = kept._templates.values()
        async with asyncio.timeout(15):
            while True:
                if children() == before | {template._process.pid, one.pid}:
                    break
                await asyncio.sleep(0.005)
        await end(one)


async def test_a_module_that_cannot_be_imported_is_run_as_it_is(service: Path) -> None:
    (service / "slowpoke" / "__init__.py").write_text("raise SystemExit(7)\n")
    async with templates() as kept:
        process = await kept.start(command(service, "broken"))
        await asyncio.wait_for(process.wait(), 15)
        assert process.exit_code == 7


async def test_what_names_no_module_is_just_run(service: Path) -> None:
    async with templates() as kept:
        process = await kept.start(command(service, "mayfly", module=""))
        await asyncio.wait_for(process.wait(), 15)
        assert process.exit_code == 3
        assert not kept._templates
