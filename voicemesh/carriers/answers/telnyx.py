"""TeXML; https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream.

By default Telnyx wants MP3 from us: the RTP mode, and with it the codec, must be asked for.
"""

from __future__ import annotations

from voicemesh.carriers.answers.document import Answer, Connect, Document, Ended, Onward, Turned
from voicemesh.carriers.answers.twilio import dial, parameters
from voicemesh.carriers.answers.xml import element, response


def answer(wanted: Answer) -> Document:
    """Write an answer as TeXML."""
    match wanted:
        case Connect(url, told, status_url):
            stream = element(
                "Stream",
                *parameters(told),
                url=url,
                track="inbound_track",
                codec="PCMU",
                bidirectionalMode="rtp",
                bidirectionalCodec="PCMU",
                bidirectionalSamplingRate="8000",
                statusCallback=status_url or None,
            )
            return response(element("Connect", stream))
        case Onward():
            return response(dial(wanted))
        case Turned(busy):
            return response(element("Reject", reason="busy" if busy else "rejected"))
        case Ended():
            return response(element("Hangup"))
