"""Legs: callers' connections, one module for each protocol and one row in its table of doors."""
