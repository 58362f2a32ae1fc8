"""From a line in a table of engines to an engine at a provider."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from adapters.providers.endpoint import endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters.config import AdapterSettings


def provider(module: str) -> Callable[[AdapterSettings], Any]:
    """Return the factory of the engine in this module.

    The module holds ``SETTINGS``, a class of settings, and ``engine``, which makes the engine from
    them; it is imported only where the engine is hosted.
    """

    def make(adapter: AdapterSettings) -> Any:  # noqa: ANN401 - an engine of any sense
        held = import_module(module)
        return held.engine(endpoint(held.SETTINGS, adapter))

    return make
