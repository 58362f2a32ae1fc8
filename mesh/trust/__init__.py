"""Certificates of a mesh: the development authority, and where each process finds its own."""

from mesh.trust.authority import Authority
from mesh.trust.issuing import Issuing

__all__ = ["Authority", "Issuing"]
