"""Whether a request really comes from the carrier: one module each, over raw bytes."""
