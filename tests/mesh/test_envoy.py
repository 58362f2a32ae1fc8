"""The generated Envoy configuration: what it is, what Envoy says of it, and what the rules catch.

Golden files are rewritten with ``REWRITE_GOLDEN=1 pytest tests/mesh/test_envoy.py``; read the
difference before committing it.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.envoy import Endpoint, Layout, Rendered, check, lint, render, validate, write
from mesh.envoy.endpoints import endpoints
from mesh.envoy.files import text
from mesh.envoy.model import Json
from mesh.services import DOORS, DoorName, Envoy
from mesh.topology import LOCAL, load, one_region, parse
from voicemesh.errors import Misconfigured

GOLDEN = Path(__file__).parent / "golden"
RUN = Path("/run/voicemesh")


def rendered(door: DoorName, folder: Path = RUN, number: int = 0) -> Rendered:
    topology = load(LOCAL)
    region = one_region(topology)
    live = [
        Endpoint(
            name,
            "127.0.0.1",
            7100 + 10 * index + replica,
            region.name,
            f"{name}-{replica}",
            sockets=7200 if name == "gateway" else 0,
            answers=7300 if name == "gateway" else 0,
        )
        for index, name in enumerate(region.services)
        for replica in range(region.services[name].replicas)
    ]
    envoy = Envoy(door, number)
    layout = Layout(folder / envoy.name, folder / "logs" / f"{envoy.name}-access.log")
    return render(topology, region, envoy, layout, live=live)


@pytest.mark.parametrize("door", DOORS)
def test_both_of_a_pair_differ_in_name_and_port_only(door: DoorName) -> None:
    port = one_region(load(LOCAL)).door(door).port
    first, second = rendered(door), rendered(door, number=1)
    for path, document in first.files().items():
        other = second.files()[Path(str(path).replace(f"{door}-0", f"{door}-1"))]
        same = text(document).replace(f"{door}-0", f"{door}-1")
        assert same.replace(f'"port_value": {port}', f'"port_value": {port + 10}') == text(other)


@pytest.mark.parametrize("door", DOORS)
def test_configuration_is_the_golden_one(door: DoorName) -> None:
    for path, document in rendered(door).files().items():
        golden = GOLDEN / path.relative_to(RUN)
        if os.environ.get("REWRITE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text(text(document), encoding="utf-8")
        assert golden.read_text(encoding="utf-8") == text(document), f"{golden} differs"


@pytest.mark.parametrize("door", DOORS)
def test_envoy_accepts_the_flattened_configuration(door: DoorName) -> None:
    validate(rendered(door))


def test_envoy_refuses_a_route_to_nowhere_and_says_so() -> None:
    broken = copy.deepcopy(rendered("mesh"))
    broken.routes["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = "nowhere"
    with pytest.raises(Misconfigured, match="unknown cluster 'nowhere'"):
        validate(broken)


def test_slow_start_is_off_unless_asked_for() -> None:
    asked = load(LOCAL).model_copy(
        update={"tuning": load(LOCAL).tuning.model_copy(update={"slow_start_seconds": 30})}
    )
    layout = Layout(RUN / "mesh", RUN / "log")
    slow = render(asked, one_region(asked), Envoy("mesh"), layout, port=1)
    validate(slow)
    assert "'slow_start_window': '30s'" in str(slow.clusters)
    assert "slow_start" not in str(rendered("mesh").clusters)


def test_files_are_written_without_leaving_drafts(tmp_path: Path) -> None:
    done = write(rendered("mesh", tmp_path))
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(done)


def test_endpoints_are_grouped_by_region_and_priority() -> None:
    far = Endpoint("stt", "10.1.0.1", 7001, "far", "door", priority=1)
    near = Endpoint("stt", "127.0.0.1", 7130, "local", "stt-0")
    document = endpoints("stt", [far, near])["resources"][0]
    found = [(one["priority"], one["locality"]["region"]) for one in document["endpoints"]]
    assert found == [(0, "local"), (1, "far")]


def test_a_service_that_a_region_lacks_has_no_route_there() -> None:
    topology = parse("name: a\nregions: [{name: b, services: {stt: {}}}]", Path("t.yaml"))
    mesh = render(topology, one_region(topology), Envoy("mesh"), Layout(RUN, RUN / "log"), port=1)
    assert [one["name"] for one in mesh.clusters["resources"]] == ["stt"]


def cluster(config: Rendered) -> Json:
    found: Json = config.clusters["resources"][0]
    return found


def http2(config: Rendered) -> Json:
    (options,) = cluster(config)["typed_extension_protocol_options"].values()
    found: Json = options["explicit_http_config"]
    return found


def action(config: Rendered) -> Json:
    found: Json = config.routes["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]
    return found


def manager(config: Rendered) -> Json:
    listener = config.bootstrap["static_resources"]["listeners"][0]
    found: Json = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


MISTAKES: dict[str, Callable[[Rendered], object]] = {
    "http2: gateway: no http2": lambda c: http2(c).clear(),
    "http2: gateway: connection_keepalive": lambda c: http2(c)["http2_protocol_options"].pop(
        "connection_keepalive"
    ),
    "small_buffers: gateway": lambda c: cluster(c).pop("per_connection_buffer_limit_bytes"),
    "small_buffers: listener edge": lambda c: manager(c)["http2_protocol_options"].pop(
        "initial_stream_window_size"
    ),
    "breakers: gateway: max_requests": lambda c: cluster(c).pop("circuit_breakers"),
    "breakers: gateway: max_connections": lambda c: cluster(c)["circuit_breakers"]["thresholds"][
        0
    ].update(max_connections=10),
    "health: gateway: no gRPC health": lambda c: cluster(c).pop("health_checks"),
    "health: gateway: outlier": lambda c: cluster(c).pop("outlier_detection"),
    "health: gateway: healthy_panic": lambda c: cluster(c)["common_lb_config"].pop(
        "healthy_panic_threshold"
    ),
    "health: gateway: new hosts": lambda c: cluster(c)["common_lb_config"].pop(
        "ignore_new_hosts_until_first_hc"
    ),
    "health: gateway: update_merge": lambda c: cluster(c)["common_lb_config"].pop(
        "update_merge_window"
    ),
    "health: gateway: removed hosts": lambda c: cluster(c).pop("ignore_health_on_host_removal"),
    "endpoint_files: gateway: its endpoint": lambda c: c.endpoints["gateway"]["resources"].clear(),
    "endpoint_files: gateway: overprovisioning": lambda c: c.endpoints["gateway"]["resources"][
        0
    ].pop("policy"),
    "timeouts: route /voicemesh.api.call.v1.CallService/: timeout": lambda c: action(c).pop(
        "timeout"
    ),
    "timeouts: route /voicemesh.api.call.v1.CallService/: idle": lambda c: action(c).update(
        idle_timeout="300s"
    ),
    "timeouts: route /voicemesh.api.call.v1.CallService/: max_stream": lambda c: action(c).pop(
        "max_stream_duration"
    ),
    "retries: route /voicemesh.api.call.v1.CallService/: retry_on lacks reset": lambda c: action(c)[
        "retry_policy"
    ].update(
        retry_on="connect-failure,refused-stream,unavailable,reset-before-request,resource-exhausted"
    ),
    "retries: route /voicemesh.api.call.v1.CallService/: previous_hosts": lambda c: action(c)[
        "retry_policy"
    ].pop("host_selection_retry_max_attempts"),
    "retries: route /voicemesh.api.call.v1.CallService/: per_try": lambda c: action(c)[
        "retry_policy"
    ].update(per_try_timeout="1s"),
    "known_clusters: route": lambda c: action(c).update(cluster="nowhere"),
    "static_listener: listeners": lambda c: c.bootstrap["dynamic_resources"].update(lds_config={}),
    "static_listener: listener edge": lambda c: manager(c)["http_filters"].reverse(),
    "guards: premature": lambda c: c.bootstrap.pop("layered_runtime"),
    "guards: the admin": lambda c: c.bootstrap["admin"]["address"]["pipe"].update(mode=0o666),
    "guards: the overload": lambda c: c.bootstrap.pop("overload_manager"),
    "guards: it cannot be emptied": lambda c: c.bootstrap["overload_manager"][
        "loadshed_points"
    ].pop(),
    "stripped_headers: headers x-envoy": lambda c: manager(c).pop(
        "early_header_mutation_extensions"
    ),
    "stripped_headers: use_remote": lambda c: manager(c).update(use_remote_address=False),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_caught_by_its_rule(mistake: str) -> None:
    config = copy.deepcopy(rendered("edge"))
    assert lint(config) == []
    MISTAKES[mistake](config)
    assert any(found.startswith(mistake) for found in lint(config)), lint(config)
    with pytest.raises(Misconfigured):
        check(config)


def test_the_edge_guard_would_be_wrong_inside() -> None:
    edge = rendered("edge")
    assert lint(replace(rendered("mesh"), bootstrap=edge.bootstrap)) == [
        "guards: premature_reset_total_stream_count must be 100000"
    ]
