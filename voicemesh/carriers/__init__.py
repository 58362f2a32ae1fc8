"""Carriers: what their media sockets speak, one module each, without sockets and clocks."""
