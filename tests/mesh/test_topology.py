"""A mistake in a topology is reported with its file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.services import SERVICES, ServiceName
from mesh.topology import LOCAL, load, one_region, parse, service_name, with_phones
from voicemesh.errors import InvalidInput, Misconfigured

GOOD = """\
name: trial
regions:
  - name: local
    services:
      gateway: {replicas: 1}
      stt:
        replicas: 2
        engines: {scripted: [scripted]}
"""


def test_local_topology_runs_every_service() -> None:
    topology = load(LOCAL)
    region = one_region(topology)
    assert set(region.services) == set(SERVICES) - {"sip"}
    assert set(one_region(with_phones(topology)).services) == set(SERVICES)
    assert region.services["orchestrator"].replicas == 2
    assert region.services["llm"].engines["embedded"] == ("retrieval", "smollm2")
    ports = {one.name: region.door(one.door).port_of(one.number) for one in region.envoys()}
    assert ports == {"edge-0": 7000, "edge-1": 7010, "mesh-0": 7001, "mesh-1": 7011}
    assert topology.path == LOCAL


def test_every_model_set_of_the_local_topology_is_complete() -> None:
    services = one_region(load(LOCAL)).services
    adapters: tuple[ServiceName, ...] = ("stt", "llm", "tts")
    for name in adapters:
        assert set(services[name].engines) == {"embedded", "scripted"}


def test_environment_takes_plain_numbers() -> None:
    text = GOOD + "environment: {OMP_NUM_THREADS: 2}\n"
    assert parse(text, Path("t.yaml")).environment == {"OMP_NUM_THREADS": "2"}


STT = "regions[0].services.stt"
EDGE = "    edge: {port: 70000}\n    services:"
SAME = "    edge: {port: 7}\n    mesh: {port: 7}\n    services:"
NEAR = "    edge: {port: 7}\n    mesh: {port: 17}\n    services:"
FRONT = "    mesh: {port: 7}\n    front: {port: 7}\n    services:"
NAMED = "    host: localhost\n    services:"
END = "[scripted]}\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "advice"),
    [
        ("replicas: 2", "replica: 2", 7, f"{STT}.replica", "did you mean 'replicas'"),
        ("replicas: 2", 'replicas: "2"', 7, f"{STT}.replicas", "it is '2'"),
        ("replicas: 2", "replicas: -1", 7, f"{STT}.replicas", "greater than or equal to 0"),
        ("stt:", "sst:", 6, "regions[0].services.sst", "use one of gateway, orchestrator"),
        ("  - name: local\n    services", "  - services", 3, "regions[0].name", "add it"),
        (END, END + "qqq: []\n", 9, "qqq", "is not known here; remove it, or use one of"),
        (END, END + "name: again\n", 9, "name", "is given twice"),
        (END, END + "tuning:\n  keepalive_ms: 5\n", 10, "tuning.keepalive_ms", "or equal to 100"),
        (END, END + "tuning: {health_timeout_ms: 500}\n", 9, "tuning", "smaller than"),
        (END, END + "environment:\n  lower: x\n", 10, "environment.lower", "pattern"),
        (END, END + "log_level: loud\n", 9, "log_level", "it is 'loud'"),
        ("    services:", EDGE, 4, "regions[0].edge.port", "65535"),
        ("    services:", SAME, 3, "regions[0]", "different ports"),
        ("    services:", NEAR, 3, "regions[0]", "edge-1 and mesh-0 both listen on port 17"),
        ("    services:", NAMED, 4, "regions[0].host", "it is 'localhost'"),
        ("    services:", FRONT, 3, "regions[0]", "mesh-0 and front-0 both listen on port 7"),
        (GOOD, "name: [", 1, "", "correct the YAML"),
        (GOOD, "", 1, "", "valid dictionary"),
    ],
)
def test_mistakes_name_line_and_field(
    old: str, new: str, line: int, field: str, advice: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse(GOOD.replace(old, new), Path("trial.yaml"))
    assert caught.value.details == {"file": "trial.yaml", "line": str(line), "field": field}
    assert str(caught.value).startswith(f"trial.yaml:{line}: {field}")
    assert advice in str(caught.value)


def test_missing_file_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        Misconfigured, match=r"nowhere\.yaml: cannot read .*: name an existing file"
    ):
        load(tmp_path / "nowhere.yaml")


def test_of_several_regions_one_must_be_named() -> None:
    second = GOOD[GOOD.index("  - name") :].replace("local", "far")
    topology = parse(GOOD + second, Path("trial.yaml"))
    with pytest.raises(Misconfigured, match="local, far: say which with --region"):
        one_region(topology)


def test_unknown_service_name_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="use one of gateway, orchestrator, stt, llm, tts"):
        service_name("vad")
