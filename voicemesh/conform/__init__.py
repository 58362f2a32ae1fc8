"""Judges implementations of the protos, in whatever language: what of them they keep.

One module per sense with its table of checks; ``run.py`` drives them, ``talk.py`` holds a stream.
Only the protocol is judged: not how well anything is understood, answered or spoken.
"""
