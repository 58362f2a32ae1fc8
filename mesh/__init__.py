"""Where: topologies turned into Envoy configuration, and the launcher that runs them here."""
