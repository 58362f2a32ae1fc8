"""A spoken call with the front desk, and the booking service behind it."""
