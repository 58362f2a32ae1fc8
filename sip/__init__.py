"""Phones: SIP and RTP on one side, a caller of the gateway on the other."""
