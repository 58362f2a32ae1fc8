"""The embedded default: answers from what the bot's own file says, and never invents."""
