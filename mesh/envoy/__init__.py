"""From a topology to the files that Envoy runs on."""

from mesh.envoy.access import public_secret
from mesh.envoy.binary import binary, validate
from mesh.envoy.files import write
from mesh.envoy.lint import check, lint
from mesh.envoy.model import Endpoint, Layout, Rendered
from mesh.envoy.render import render
from mesh.envoy.trust import secrets

__all__ = [
    "Endpoint",
    "Layout",
    "Rendered",
    "binary",
    "check",
    "lint",
    "public_secret",
    "render",
    "secrets",
    "validate",
    "write",
]
