"""Scenarios for sipp, put together from steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TAG = ";tag=there"
DIGITS = "/usr/share/sip-tester/dtmf_2833_{}.pcap"

_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]"
_FROM = "From: <sip:15551234@[local_ip]:[local_port]>;tag=[pid]t[call_number]"
_SDP = """
v=0
o=phone 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a={direction}
"""


class Scenario:
    """A call of sipp's; each method adds a step."""

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._sequence = 0

    def call(self) -> Scenario:
        """Begin the call and wait until it is answered."""
        return self._invite("sendrecv", "To: <sip:[service]@[remote_ip]:[remote_port]>")

    def hold(self) -> Scenario:
        """Put the bot on hold."""
        return self._invite("sendonly")

    def resume(self) -> Scenario:
        """Take the bot back."""
        return self._invite("sendrecv")

    def play(self, pcap: Path | str, seconds: float) -> Scenario:
        """Send RTP; go on after so many seconds."""
        self._steps.append(f'<nop><action><exec play_pcap_audio="{pcap}"/></action></nop>')
        return self.wait(seconds)

    def press(self, digit: str) -> Scenario:
        """Press a key."""
        return self.play(DIGITS.format(digit), 1.0)

    def wait(self, seconds: float) -> Scenario:
        """Do nothing for so long."""
        self._steps.append(f'<pause milliseconds="{seconds * 1000:.0f}"/>')
        return self

    def hang_up(self) -> Scenario:
        """End the call."""
        self._send("BYE")
        self._steps.append('<recv response="200"/>')
        return self

    def hung_up(self) -> Scenario:
        """Wait until the bot ends the call."""
        self._steps.append('<recv request="BYE" timeout="20000"/>')
        self._answer()
        return self

    def refused(self, status: int) -> Scenario:
        """Call, and be refused."""
        self._sequence += 1
        self._send("INVITE", "To: <sip:[service]@[remote_ip]:[remote_port]>", self._sdp("sendrecv"))
        self._provisional()
        self._steps.append(f'<recv response="{status}"/>')
        self._send("ACK", "[last_To:]", retrans=False)
        return self

    def asked(self, method: str) -> Scenario:
        """Wait for a request of the bot's and accept it."""
        self._steps.append(f'<recv request="{method}" timeout="20000"/>')
        self._answer(202 if method == "REFER" else 200)
        return self

    def options(self) -> Scenario:
        """Ask whether anybody is there."""
        self._sequence += 1
        self._send("OPTIONS", "To: <sip:[service]@[remote_ip]:[remote_port]>")
        self._steps.append('<recv response="200"/>')
        return self

    def refer(self, status: int) -> Scenario:
        """Ask the bot to call somebody else."""
        self._send("REFER", extra="Refer-To: <sip:thief@[local_ip]>\n")
        self._steps.append(f'<recv response="{status}"/>')
        return self

    def notified(self, said: str) -> Scenario:
        """Wait to hear what became of it."""
        self._steps.append(
            '<recv request="NOTIFY" timeout="20000"><action>'
            f'<ereg regexp="{said}" search_in="body" check_it="true" assign_to="1"/>'
            '</action></recv><Reference variables="1"/>'
        )
        self._answer()
        return self

    def called(self, challenge: str = "401 Unauthorized") -> Scenario:
        """Wait to be called, ask for a password, and answer.

        It must be the right one, after 401; sipp does not check the one that answers 407.
        """
        self._steps.append('<recv request="INVITE"/>')
        proxy = challenge.startswith("407")
        self._challenge(challenge, "Proxy-Authenticate" if proxy else "WWW-Authenticate")
        self._steps.append('<recv request="ACK"/>')
        check = '<action><verifyauth assign_to="right" username="bot" password="secret"/></action>'
        self._steps.append(f'<recv request="INVITE">{"" if proxy else check}</recv>')
        if not proxy:
            self._steps.append('<nop test="right" next="1"/>')
            self._answer(403, "Forbidden", tag=_TAG)
            self._steps.append('<label id="1"/>')
        self._answer(180, "Ringing", tag=_TAG)
        self._answer(200, tag=_TAG, body=self._sdp("sendrecv"))
        self._steps.append('<recv request="ACK"/>')
        return self

    def busy(self) -> Scenario:
        """Wait to be called and say that it is busy."""
        self._steps.append('<recv request="INVITE"/>')
        self._answer(486, "Busy Here", tag=_TAG)
        self._steps.append('<recv request="ACK"/>')
        return self

    def rung(self) -> Scenario:
        """Ring until the caller gives up."""
        self._steps.append('<recv request="INVITE"/>')
        self._answer(180, "Ringing", tag=_TAG)
        self._steps.append('<recv request="CANCEL"/>')
        self._answer(200, tag=_TAG)
        return self

    def registered(self) -> Scenario:
        """Wait for a registration with the right password."""
        self._steps.append('<recv request="REGISTER"/>')
        self._challenge()
        check = '<action><verifyauth assign_to="right" username="bot" password="secret"/></action>'
        self._steps.append(f'<recv request="REGISTER">{check}</recv>')
        self._steps.append('<nop test="right" next="1"/>')
        self._answer(403, "Forbidden", tag=_TAG)
        self._steps.append('<label id="1"/>')
        self._answer(200, tag=_TAG)
        return self

    def _challenge(
        self, status: str = "401 Unauthorized", header: str = "WWW-Authenticate"
    ) -> None:
        code, _, reason = status.partition(" ")
        challenge = f'{header}: Digest realm="trunk", nonce="4711", algorithm=MD5\n'
        self._answer(int(code), reason, tag=_TAG, extra=challenge)

    def xml(self) -> str:
        """Return the whole scenario."""
        # `Reference` belongs to the end of a scenario.
        text = "\n".join(self._steps)
        mark = '<Reference variables="1"/>'
        if mark in text:
            text = text.replace(mark, "") + mark
        return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario>\n{text}\n</scenario>\n'

    def _invite(self, direction: str, to: str = "To: [$bot]") -> Scenario:
        self._sequence += 1
        self._send("INVITE", to, self._sdp(direction), fresh=True)
        self._provisional()
        # Requests of the bot's change what sipp takes for the last To.
        keep = '<action><ereg regexp=".*" search_in="hdr" header="To:" assign_to="bot"/></action>'
        self._steps.append(f'<recv response="200">{keep}</recv>')
        self._send("ACK", retrans=False)
        return self

    def _provisional(self) -> None:
        self._steps.append('<recv response="100" optional="true"/>')
        self._steps.append('<recv response="180" optional="true"/>')

    def _sdp(self, direction: str) -> str:
        return _SDP.format(version=self._sequence, direction=direction)

    def _send(
        self,
        method: str,
        to: str = "To: [$bot]",
        body: str = "",
        *,
        extra: str = "",
        retrans: bool = True,
        fresh: bool = False,
    ) -> None:
        if method not in ("ACK", "INVITE", "OPTIONS"):
            self._sequence += 1
        how = ' retrans="500"' if retrans else ""
        kind = "Content-Type: application/sdp\n" if body else ""
        self._steps.append(
            f"<send{how}><![CDATA[\n{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n"
            f"{_VIA}\n{_FROM}\n{to}\nCall-ID: [call_id]\nCSeq: {self._sequence} {method}\n"
            "Contact: <sip:phone@[local_ip]:[local_port];transport=[transport]>\n"
            f"Max-Forwards: 70\n{extra}{kind}Content-Length: [len]\n{body}\n]]></send>"
        )

    def _answer(
        self,
        status: int = 200,
        reason: str = "OK",
        *,
        tag: str = "",
        body: str = "",
        extra: str = "",
    ) -> None:
        kind = "Content-Type: application/sdp\n" if body else ""
        self._steps.append(
            f"<send><![CDATA[\nSIP/2.0 {status} {reason}\n[last_Via:]\n[last_From:]\n"
            f"[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n{extra}{kind}"
            "Contact: <sip:phone@[local_ip]:[local_port];transport=[transport]>\n"
            f"Content-Length: [len]\n{body}\n]]></send>"
        )
