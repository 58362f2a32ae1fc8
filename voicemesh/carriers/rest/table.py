"""Every carrier whose API we can ask: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers.rest.exotel import Exotel
from voicemesh.carriers.rest.jambonz import Jambonz
from voicemesh.carriers.rest.plivo import Plivo
from voicemesh.carriers.rest.teler import Teler
from voicemesh.carriers.rest.telnyx import Telnyx
from voicemesh.carriers.rest.twilio import Twilio
from voicemesh.carriers.rest.vonage import Vonage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voicemesh.carriers.rest.control import Account, CallControl

CONTROLS: Mapping[str, Callable[[Account], CallControl]] = {
    "twilio": Twilio,
    "teler": Teler,
    "plivo": Plivo,
    "telnyx": Telnyx,
    "exotel": Exotel,
    "vonage": Vonage,
    "jambonz": Jambonz,
}
"""By the carrier's name, as in `voicemesh.carriers.table.DIALECTS`. Making one raises Misconfigured
for an account that lacks a part."""
