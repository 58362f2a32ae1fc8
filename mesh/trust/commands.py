"""`voicemesh token`: something to show at the edge of a mesh that runs here."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from mesh.local.home import Home
from mesh.trust.issuing import SIGNING_KEY
from voicemesh.errors import NotFound
from voicemesh.tokens import SCOPES, sign


def token(
    tenant: Annotated[
        str, typer.Option(help="Whose token it is: a tenant of the topology; default: nobody's.")
    ] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"What it allows, of {', '.join(SCOPES)}. Default: all of them."),
    ] = None,
    hours: Annotated[float, typer.Option(help="How long it is good for.", max=720)] = 24.0,
    issuer: Annotated[str, typer.Option(help="As the topology's access.issuer.")] = "voicemesh",
    audience: Annotated[str, typer.Option(help="As access.audience.")] = "voicemesh",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print a token for a caller or an application, signed with this machine's development key.

    Send it as `Authorization: Bearer TOKEN`, or set VOICEMESH_TOKEN. The key is made by the first
    `voicemesh up`. A mesh whose topology names access.jwks takes its issuer's tokens only.
    """
    path = Home().certificates / SIGNING_KEY
    try:
        pem = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(
            f"{path}: there is no signing key: start a mesh with `voicemesh up`", file=path
        ) from error
    scopes = scope or list(SCOPES)
    made = sign(pem, tenant=tenant, scopes=scopes, hours=hours, issuer=issuer, audience=audience)
    if as_json:
        expires = int(time.time() + hours * 3600)
        typer.echo(json.dumps({"token": made, "tenant": tenant, "scope": scopes, "exp": expires}))
    else:
        typer.echo(made)
