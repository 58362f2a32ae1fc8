"""Whose request this is: the tenant of who asks, through everything that a request causes.

The edge sets the header from a token it has checked, and drops it from what callers send.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from voicemesh.residency import TENANT_HEADER

if TYPE_CHECKING:
    from voicemesh.errors import Context

_asking: ContextVar[str] = ContextVar("tenant", default="")


def take(context: Context) -> str:
    """Take note of whose request an RPC is, for the rest of its task; return the tenant."""
    tenant = str(dict(context.invocation_metadata() or ()).get(TENANT_HEADER, ""))
    _asking.set(tenant)
    return tenant


def asking() -> str:
    """Return the tenant of who asks; empty for ourselves, and where tokens are not asked for."""
    return _asking.get()


def sees(owner: str) -> bool:
    """Return whether who asks may know of what is a tenant's."""
    return _asking.get() in ("", owner)


def passed_on() -> tuple[tuple[str, str], ...]:
    """Return the metadata by which another process learns whose request it is."""
    tenant = _asking.get()
    return ((TENANT_HEADER, tenant),) if tenant else ()
