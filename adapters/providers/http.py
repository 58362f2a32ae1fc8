"""Requests to providers: one pool of connections, bounded; failures become our errors."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from adapters.providers import faults
from voicemesh.errors import DeadlineMissed, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from adapters.providers.endpoint import Endpoint


class Requests:
    """Asks one provider; keeps connections open for the next request."""

    def __init__(self, endpoint: Endpoint, headers: Callable[[str], dict[str, str]]) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._live = 0
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        """Make the pool; raise Misconfigured if there is no secret."""
        self._endpoint.key()
        wait = self._endpoint
        self._client = httpx.AsyncClient(
            base_url=wait.url.rstrip("/") + "/",
            timeout=httpx.Timeout(
                wait.first_seconds,
                connect=wait.connect_seconds,
                pool=wait.connect_seconds,
            ),
            limits=httpx.Limits(
                max_connections=wait.connections, max_keepalive_connections=20, keepalive_expiry=60
            ),
        )

    @asynccontextmanager
    async def post(self, path: str, **body: Any) -> AsyncIterator[httpx.Response]:  # noqa: ANN401
        """Give the answer, whose body is to be read in the block; raise unless it is 200."""
        if self._client is None:
            raise RuntimeError("post before start")
        if self._live >= self._endpoint.connections:
            raise Refused("too many requests at once", limit=self._endpoint.connections)
        self._live += 1
        try:
            key = self._endpoint.key()
            with translated(key):
                async with self._client.stream(
                    "POST", path, headers=self._headers(key), **body
                ) as response:
                    await check(response, key)
                    yield response
        finally:
            self._live -= 1

    async def parts(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Give the body as it comes; raise DeadlineMissed when a part is late."""
        wait = self._endpoint
        seconds, body = wait.first_seconds, response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout(seconds):
                    part = await anext(body)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise faults.silent(seconds) from None
            yield part
            seconds = wait.between_seconds

    async def stop(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()


def bearer(key: str) -> dict[str, str]:
    """Return the header that most providers want the key in."""
    return {"Authorization": f"Bearer {key}"} if key else {}


@contextmanager
def translated(secret: str = "") -> Iterator[None]:
    """Turn the client's errors into ours."""
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise DeadlineMissed("the provider is silent", reason="PROVIDER_SILENT") from error
    except httpx.PoolTimeout as error:
        raise Refused("all connections to the provider are in use") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise faults.gone(error, secret) from error


async def check(response: httpx.Response, secret: str = "") -> None:
    """Raise unless the provider answers with what was asked for."""
    if response.status_code == httpx.codes.OK:
        return
    beginning = await _beginning(response)
    headers: Mapping[str, str] = response.headers
    raise faults.refusal(
        response.status_code,
        beginning,
        retry_after=headers.get("retry-after", ""),
        secret=secret,
    )


async def _beginning(response: httpx.Response) -> str:
    kept = b""
    async for part in response.aiter_bytes():
        kept += part
        if len(kept) >= 4 * faults.SHOWN:
            break
    return kept.decode("utf-8", "replace")[: 4 * faults.SHOWN]
