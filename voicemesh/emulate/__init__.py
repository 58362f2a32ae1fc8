"""Plays a carrier or a phone: places a call as the machines at the other end would."""

from voicemesh.emulate.call import CarrierCall, Order
from voicemesh.emulate.carrier import EmulatedCarrier, natural_start, tells_keys
from voicemesh.emulate.phone import Network, PhoneCall
from voicemesh.emulate.record import carrier_record

__all__ = [
    "CarrierCall",
    "EmulatedCarrier",
    "Network",
    "Order",
    "PhoneCall",
    "carrier_record",
    "natural_start",
    "tells_keys",
]
