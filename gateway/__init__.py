"""The voice layer: holds callers' legs, hears and paces their audio, keeps each call's journal."""
