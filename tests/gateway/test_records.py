from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gateway.commands import End
from gateway.records import MAX_WAITING, Records
from tests.gateway.caller import Caller, hall
from voicemesh.api.journal.v1 import journal_pb2

if TYPE_CHECKING:
    from pathlib import Path


def end() -> End:
    entry = journal_pb2.Entry(
        sequence=3, consumed_offset=9, call_ended=journal_pb2.CallEnded(reason="failed")
    )
    return End("failed", (entry,), 1.23456)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_record_is_one_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    records = Records(folder)
    records.save("c1", end())
    await records.close()
    assert json.loads((folder / "c1.json").read_text()) == {
        "call_id": "c1",
        "reason": "failed",
        "seconds": 1.235,
        "journal": [
            {"sequence": "3", "consumed_offset": "9", "call_ended": {"reason": "failed"}},
        ],
    }
    assert (folder / "c1.json").stat().st_mode & 0o777 == 0o600
    assert names(folder) == ["c1.json"]


async def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    records = Records(None)
    records.save("c1", end())
    await records.close()
    assert names(tmp_path) == []


async def test_a_folder_that_cannot_be_written_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    records = Records(tmp_path / "file")
    records.save("c1", end())
    await records.close()


async def test_no_more_than_so_many_wait(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for number in range(MAX_WAITING + 5):
        records.save(f"c{number}", end())
    await records.close()
    assert len(names(tmp_path)) == MAX_WAITING


async def test_a_call_leaves_its_record(tmp_path: Path) -> None:
    bots, folder = tmp_path / "bots", tmp_path / "records"
    bots.mkdir()
    async with hall(bots, records=str(folder)) as here:
        caller = Caller(here)
        started = await caller.start()
        await caller.utter()
        ended = await caller.hang_up()
        await caller.end()
        await here.gateway.live.wait_empty()
    record = json.loads((folder / f"{started.call_id}.json").read_text())
    assert record["reason"] == "caller_hung_up"
    assert [entry.get("sequence", "0") for entry in record["journal"]] == [
        str(entry.sequence) for entry in ended.journal
    ]
