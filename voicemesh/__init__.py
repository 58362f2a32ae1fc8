"""What all parts of voicemesh share: the contract, audio, journal, errors, channels, servers."""
