"""The senses: one server that hosts speech-to-text, language and text-to-speech engines."""
