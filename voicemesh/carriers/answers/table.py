"""Every carrier that asks us what to do with a call: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers.answers import exotel, jambonz, plivo, teler, telnyx, twilio, vonage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.carriers.answers.document import Answers

ANSWERS: Mapping[str, Answers] = {
    "twilio": twilio.answer,
    "teler": teler.answer,
    "plivo": plivo.answer,
    "telnyx": telnyx.answer,
    "exotel": exotel.answer,
    "vonage": vonage.answer,
    "jambonz": jambonz.answer,
}
"""By the carrier's name, as in `voicemesh.carriers.table.DIALECTS`."""
