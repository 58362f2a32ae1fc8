"""Measurements that need more than voicemesh itself; none of this is installed."""
