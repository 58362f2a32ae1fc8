"""Carriers' webhooks: what to do with a call, and what has become of one."""
