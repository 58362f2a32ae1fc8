"""Plays a carrier: places a call over its media socket, as the carrier's own machines would."""

from voicemesh.emulate.call import CarrierCall, Order
from voicemesh.emulate.carrier import EmulatedCarrier, natural_start
from voicemesh.emulate.record import carrier_record

__all__ = ["CarrierCall", "EmulatedCarrier", "Order", "carrier_record", "natural_start"]
