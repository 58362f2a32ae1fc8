"""Every carrier whose media socket we speak: one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicemesh.carriers import (
    audiohook,
    audiosocket,
    browser,
    exotel,
    jambonz,
    plivo,
    teler,
    telnyx,
    twilio,
    vonage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicemesh.carriers.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in [
        twilio.DIALECT,
        vonage.DIALECT,
        jambonz.DIALECT,
        audiohook.DIALECT,
        audiosocket.DIALECT,
        teler.DIALECT,
        plivo.DIALECT,
        telnyx.DIALECT,
        exotel.DIALECT,
        browser.DIALECT,
    ]
}
"""By name, as in the path of its socket and in `voicemesh emulate NAME`."""
