"""What a door does to requests about calls: finds which gateway it is for, turns JSON to gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import voicemesh.api
from mesh.envoy.model import Json, Layout, extension
from voicemesh.callids import CALL_HEADER, TAG

if TYPE_CHECKING:
    from mesh.services import DoorName

RPC_SERVICE = "voicemesh.api.control.v1.CallsService"
DESCRIPTORS = Path(next(iter(voicemesh.api.__path__))) / "control.binpb"
"""Written by `make proto`."""
SUBSET = "envoy.lb"
KEY = "gateway"
MAX_BODY_BYTES = 512 * 1024
_PATH = rf"^/(?:v1/calls|carriers/[a-z]+/status)/[0-9a-f-]+-({TAG})[:?/]?.*$"
"""Paths that name a call."""


def http_filters(door: DoorName, layout: Layout) -> list[Json]:
    """Return the filters, first to last, that a door needs for call control."""
    return [_tagging(door), _transcoder(layout)] if door == "edge" else [_tagging(door)]


def _tagging(door: DoorName) -> Json:
    """Take the tag from wherever the call is named; the last that is there counts."""
    places = [CALL_HEADER] if door == "mesh" else [":path", CALL_HEADER]
    pattern = {":path": _PATH, CALL_HEADER: rf"^.*-({TAG})$"}
    rules = [
        {
            "header": name,
            "on_header_present": {
                "metadata_namespace": SUBSET,
                "key": KEY,
                "regex_value_rewrite": {
                    "pattern": {"regex": pattern[name]},
                    "substitution": r"\1",
                },
            },
        }
        for name in places
    ]
    return extension(
        "envoy.filters.http.header_to_metadata",
        "envoy.extensions.filters.http.header_to_metadata.v3.Config",
        request_rules=rules,
    )


def _transcoder(layout: Layout) -> Json:
    return extension(
        "envoy.filters.http.grpc_json_transcoder",
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(layout.descriptors),
        services=[RPC_SERVICE],
        convert_grpc_status=True,
        max_request_body_size=MAX_BODY_BYTES,
        print_options={
            "always_print_primitive_fields": True,
            "preserve_proto_field_names": True,
            "stream_newline_delimited": True,
        },
    )
