"""What the parts of a bot file are made of, and values that files take from elsewhere."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")

Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Variable = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]
Words = Annotated[str, Field(min_length=1, max_length=2000)]
Phrase = Annotated[str, Field(min_length=1, max_length=300)]
Keys = Annotated[str, Field(pattern=r"^[0-9*#A-D]{1,64}$")]
Seconds = Annotated[float, Field(gt=0, le=60)]
Address = Annotated[str, Field(min_length=1, max_length=2000)]


class Part(BaseModel):
    """A part of a bot file: frozen, and every key is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def filled(text: str, who: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a text with ``${NAME}`` and ``${NAME:-default}`` taken from the environment.

    Raise Misconfigured, naming ``who`` wants it, if one lacks.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = environ.get(name, default)
        if found is None:
            raise Misconfigured(
                f"{who}: the environment has no {name}", reason="NO_VARIABLE", variable=name
            )
        return found

    return _VARIABLE.sub(value, text)


def secret(text: str, who: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a secret that a file names: ``${NAME}``, or ``@FILE`` with it in the file.

    Raise Misconfigured if there is none.
    """
    found = filled(text, who, environ)
    if not found.startswith("@"):
        return found
    try:
        return Path(found[1:]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is no text"
        raise Misconfigured(f"{who}: {found[1:]}: {why}", reason="NO_SECRET") from error
