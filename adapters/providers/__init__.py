"""What engines that ask a provider over the network share: endpoints, connections, failures."""
