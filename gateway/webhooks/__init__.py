"""Webhooks: what happens to calls, told to one receiver, by the Standard Webhooks convention."""
