"""Whose calls a mesh answers, and where those may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mesh.topology.fields import Number, Part, Slug


class Tenant(Part):
    """A customer of the platform."""

    residency: Slug
    """Zone that its calls never leave."""
    home: Slug | None = None
    """Region to be preferred where nothing says which one is near; the first of its zone where
    absent."""
    opens_per_second: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    """Calls and requests that it may begin each second; more are refused. Of each region."""
    burst: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 200
    """How many it may begin at once before that counts."""
    numbers: tuple[Number, ...] = Field(default=(), max_length=10_000)
    """Numbers (E.164) that reach it: who dials one is its caller."""
