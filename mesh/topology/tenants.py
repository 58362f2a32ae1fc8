"""Whose calls a mesh answers, and where those may be."""

from __future__ import annotations

from pydantic import Field

from mesh.topology.fields import Number, Part, Slug


class Tenant(Part):
    """A customer of the platform."""

    residency: Slug
    """Zone that its calls never leave."""
    home: Slug | None = None
    """Region to be preferred where nothing says which one is near; the first of its zone where
    absent."""
    numbers: tuple[Number, ...] = Field(default=(), max_length=10_000)
    """Numbers (E.164) that reach it: who dials one is its caller."""
