"""What a carrier is told when it asks what to do with a call: one module each."""
