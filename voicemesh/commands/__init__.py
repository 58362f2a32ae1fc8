"""Commands that need no part of the platform on this machine, only its addresses."""
