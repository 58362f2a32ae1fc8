"""The numbers file: which bot takes the calls to which number, SIP address or carrier application.

::

    numbers:
      - number: "+4930123456"       # one number; "+4930*": all that begin so; "*": whatever is left
        bot: frontdesk
        variables: {branch: berlin}
        calls_per_gateway: 20
      - sip: "sip:sales@*"          # `*` stands for any text
        bot: sales
      - application: "twilio/*"     # carrier/application, for calls whose number is not known
        bot: frontdesk

The entry that says most (has the most characters besides ``*``) counts; entries of numbers and SIP
addresses come before those of applications.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from voicemesh.bots import document
from voicemesh.bots.parts import Name
from voicemesh.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from voicemesh.bots.document import Place, Problem

Text = Annotated[str, Field(max_length=256)]

_FILLING = re.compile(r"[\s().-]+")
_PHONE = re.compile(r"\+?[0-9*#]{1,32}")
_PATTERN = re.compile(r"\+?[0-9]{2,15}|\+?[0-9]{0,15}\*")


class Entry(BaseModel):
    """Whose calls go where; exactly one of ``number``, ``sip`` and ``application`` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    number: str = Field(default="", max_length=17)
    """Number in E.164 form (``+`` and up to 15 digits), in quotes, or an extension without ``+``;
    a ``*`` at the end stands for any further digits."""
    sip: str = Field(default="", max_length=128, pattern=r"^(sips?:[^@\s]+@[^@\s]+)?$")
    """SIP address; ``*`` stands for any text."""
    application: str = Field(default="", max_length=128, pattern=r"^([a-z0-9_-]+/\S+)?$")
    """Carrier and its name of the application, as ``twilio/AC01``; ``*`` stands for any text."""
    bot: Name
    """Bot that takes the call."""
    variables: dict[Text, Text] = Field(default_factory=dict, max_length=32)
    """Variables for the bot; at most 32, each name and value at most 256 characters."""
    calls_per_gateway: int | None = Field(default=None, ge=1, le=20000, strict=True)
    """So many calls at once are taken by each gateway process, further ones are told that it is
    busy; absent: as many as the gateway holds."""

    @property
    def pattern(self) -> str:
        """What it is for; also its identity."""
        return self.number or self.sip or self.application

    @property
    def weight(self) -> int:
        """How much it says."""
        return len(self.pattern.replace("*", ""))


class NumbersFile(BaseModel):
    """A whole numbers file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    numbers: tuple[Entry, ...] = Field(default=(), max_length=10000)
    """Entries, in any order."""


class Numbers:
    """Where calls go."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.limits = {
            entry.pattern: entry.calls_per_gateway for entry in entries if entry.calls_per_gateway
        }
        """How many calls entries may have at once, by pattern; others: any number."""
        ordered = sorted(entries, key=lambda entry: -entry.weight)
        self._addresses = [_compiled(entry) for entry in ordered if not entry.application]
        self._applications = [_compiled(entry) for entry in ordered if entry.application]

    @classmethod
    def load(cls, file: Path | str, bots: Container[str]) -> Numbers:
        """Read a numbers file; raise Misconfigured with every problem, each with line and field."""
        found = check_numbers(file, bots)
        if isinstance(found, list):
            raise Misconfigured(
                "\n".join(str(problem) for problem in found),
                reason="BAD_NUMBERS",
                file=found[0].file,
                line=found[0].line,
                field=found[0].field,
            )
        return cls(found.numbers)

    def find(self, callee: str, application: str = "") -> Entry | None:
        """Return the entry for a call to ``callee``, which came by a carrier's ``application``."""
        for name in spellings(callee):
            for pattern, entry in self._addresses:
                if pattern.fullmatch(name):
                    return entry
        for pattern, entry in self._applications:
            if pattern.fullmatch(application):
                return entry
        return None


def check_numbers(file: Path | str, bots: Container[str]) -> NumbersFile | list[Problem]:
    """Read a numbers file: what it says, or everything that is wrong with it."""

    def rules(found: NumbersFile) -> Iterator[tuple[Place, str]]:
        return _broken(found, bots)

    hint = "a numbers file is a mapping with the key `numbers`"
    return document.read(Path(file), NumbersFile, {}, rules, hint)


def spellings(callee: str) -> list[str]:
    """Return the forms in which a dialled address may be in the file, the fullest first.

    Of a SIP address whose user is a phone number, that number is one; port, parameters and the
    difference of ``sips`` say nothing about who is meant.
    """
    text = callee.strip()
    scheme, _, rest = text.partition(":")
    if scheme.lower() not in ("sip", "sips"):
        plain = _FILLING.sub("", text)
        return [plain] if plain else []
    user, _, host = rest.partition(";")[0].partition("?")[0].rpartition("@")
    host = re.sub(r":\d+$", "", host).lower()
    number = _FILLING.sub("", user)
    return [f"sip:{user}@{host}", *([number] if _PHONE.fullmatch(number) else [])]


def _compiled(entry: Entry) -> tuple[re.Pattern[str], Entry]:
    pattern = re.sub("^sips:", "sip:", entry.pattern)
    if entry.sip:
        user, _, host = pattern.rpartition("@")
        pattern = f"{user}@{host.lower()}"
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL), entry


def _broken(found: NumbersFile, bots: Container[str]) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for index, entry in enumerate(found.numbers):
        place: Place = ("numbers", index)
        given = [name for name in ("number", "sip", "application") if getattr(entry, name)]
        if len(given) != 1:
            yield place, "give exactly one of number, sip and application"
        if entry.number and not _PATTERN.fullmatch(entry.number):
            yield (*place, "number"), "must be like '+4930123456', '100' or '+4930*'"
        if entry.pattern in seen:
            yield (*place, given[0]) if given else place, f"{entry.pattern!r} is there twice"
        seen.add(entry.pattern)
        if entry.bot not in bots:
            yield (*place, "bot"), f"there is no bot {entry.bot!r}"
