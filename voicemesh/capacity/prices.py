"""What things cost, and what a call is like: a small file that its reader edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voicemesh.errors import InvalidInput

EXAMPLES = Path(__file__).with_name("prices.yaml")
"""Example prices; a plan that uses them says so."""

_Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rates(_Part):
    """A region's machines and traffic."""

    core_hour: _Price
    gib_hour: _Price
    egress_gib: _Price


class Rise(_Part):
    """What is different in one region; the default where absent."""

    core_hour: _Price | None = None
    gib_hour: _Price | None = None
    egress_gib: _Price | None = None


class Providers(_Part):
    """Hosted engines."""

    stt_minute: _Price
    llm_million_tokens_in: _Price
    llm_million_tokens_out: _Price
    tts_million_characters: _Price


class Conversation(_Part):
    """What a call is like, on average."""

    caller_speaks: _Share
    bot_speaks: _Share
    turns_a_minute: _Price
    tokens_in: _Price
    tokens_out: _Price
    characters: _Price


class Prices(_Part):
    """The whole file."""

    currency: Annotated[str, Field(min_length=1, max_length=8)]
    default: Rates
    regions: dict[str, Rise] = Field(default_factory=dict)
    providers: Providers
    conversation: Conversation

    def rates(self, region: str) -> Rates:
        """Return what one region costs."""
        rise = self.regions.get(region, Rise())
        return self.default.model_copy(update=rise.model_dump(exclude_none=True))


def load(path: Path = EXAMPLES) -> Prices:
    """Read prices; raise InvalidInput naming file, field and what is wrong."""
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(str(path), f"cannot be read ({error}); copy {EXAMPLES}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidInput(str(path), f"{where}: {first['msg'].lower()}; see {EXAMPLES}") from error
