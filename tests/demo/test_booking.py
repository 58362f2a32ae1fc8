from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.booking import BookingService

THREE = {"date": "2026-12-01", "time": "15:00", "name": "Ada"}
FOUR = THREE | {"time": "16:00"}


@pytest.fixture
def booking() -> Iterator[BookingService]:
    with BookingService() as service:
        yield service


def post(service: BookingService, body: object, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return httpx.post(f"{service.url}/appointments", json=body, headers=headers)


def test_an_appointment_is_booked_moved_and_cancelled(booking: BookingService) -> None:
    first = post(booking, THREE)
    assert (first.status_code, first.json()["time"]) == (201, "15:00")
    moved = post(booking, FOUR | {"replaces": first.json()["confirmation"]}).json()
    assert [each["time"] for each in booking.appointments()] == ["16:00"]
    gone = httpx.delete(f"{booking.url}/appointments/{moved['confirmation']}")
    assert gone.json() == {"cancelled": moved["confirmation"]}
    assert httpx.get(f"{booking.url}/appointments").json() == {"appointments": []}
    assert booking.effects == 3


def test_a_key_counts_once(booking: BookingService) -> None:
    answers = [post(booking, THREE, "k1") for _ in range(3)]
    assert len({answer.text for answer in answers}) == 1
    assert booking.effects == 1
    assert post(booking, FOUR, "k1").status_code == 422
    assert post(booking, FOUR, "k2").status_code == 201


def test_a_key_counts_once_however_many_ask_together(booking: BookingService) -> None:
    together = threading.Barrier(8)
    answers: list[str] = []

    def ask() -> None:
        together.wait()
        answers.append(post(booking, THREE, "same").text)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert booking.effects == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (THREE | {"time": "12:00"}, 409),
        (THREE, 409),
        (FOUR | {"replaces": "9999"}, 404),
        ({"date": "soon", "time": "15:00"}, 400),
        ({}, 400),
        ([], 400),
        ({"name": "x" * 20_000}, 400),
    ],
)
def test_what_cannot_be_is_refused(booking: BookingService, body: object, status: int) -> None:
    post(booking, THREE)
    answer = post(booking, body)
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert booking.effects == 1


def test_a_move_to_a_taken_time_leaves_everything_as_it_was(booking: BookingService) -> None:
    post(booking, THREE)
    number = post(booking, FOUR).json()["confirmation"]
    assert post(booking, THREE | {"replaces": number}).status_code == 409
    assert [each["time"] for each in booking.appointments()] == ["15:00", "16:00"]


def test_unknown_places_are_not_found(booking: BookingService) -> None:
    assert httpx.get(f"{booking.url}/elsewhere").status_code == 404
    assert httpx.delete(f"{booking.url}/appointments/1").status_code == 404
    assert httpx.post(f"{booking.url}/elsewhere", json={}).status_code == 404


@pytest.mark.slow
def test_the_program_serves_until_it_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "port"
    command = [sys.executable, "-m", "demo.booking", "--port", "0", "--port-file", str(file)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        try:
            while not file.exists():
                assert process.poll() is None
            answer = httpx.get(f"http://127.0.0.1:{int(file.read_text())}/appointments")
            assert answer.json() == {"appointments": []}
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
