"""What an utterance does, apart from what it is about."""

from __future__ import annotations

import re

from adapters.llm.retrieval.words import listed, normalised, tokens

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")
_ABBREVIATED = re.compile(r"\b(?:[ap]\.m|dr|mr|mrs|ms|st)\.$", re.IGNORECASE)
_JOINT = re.compile(r",?\s+and(?: also)?\s+(?=(?:what|when|where|how|who|which|do|is|are|can)\b)")

_YES = re.compile(
    r"^(?:oh |well |um |uh )*(?:yes|yeah|yep|yup|sure|correct|right|okay|ok|please do|of course"
    r"|absolutely|exactly|that's right|that's correct|that is correct|that is right|go ahead"
    r"|sounds good|fine|that's fine|that would be great|please)\b"
)
_NO = re.compile(
    r"^(?:oh |well |um |uh )*(?:no|nope|nah|not really|no thanks|no thank you|nothing|know)\b"
)
_SHORT = 6
"""Words up to which "yes" or "no" is the whole of an answer."""
_CORRECTION = re.compile(
    r"\b(?:actually|instead|rather|make (?:it|that)|change|move|reschedule|switch|not \w+|no|sorry"
    r"|i mean|i meant|i said|better|wait|correction|how about|what about)\b"
)
_CHANGE = re.compile(
    r"\b(?:instead|rather|make (?:it|that|my)|change|move|reschedule|switch|better)\b"
)
_WAIT = re.compile(
    r"^(?:(?:oh|um|uh|okay|ok|well|just|please|give me|one|a|wait|hold on|hang on|let me \w+"
    r"|moment|second|minute|sec)\b[,. ]*)+$"
)
_FILLER = frozenset(
    listed("um uh hm hmm mm oh ah well so and but or actually okay ok wait like the a i i'd please")
)
_OPENING = re.compile(
    r"^(?:(?:sorry to (?:interrupt|bother)(?: you)?|excuse me|i have (?:a|one|another) question"
    r"|(?:just )?(?:a|one|another)(?: quick| more| last)? question)\W*)+$"
)
_ABANDON = re.compile(
    r"\b(?:never ?mind|forget (?:it|about it|that)|leave it|changed my mind|cancel that|stop it"
    r"|don't bother|not any ?more)\b|^(?:no[, ]+)?stop\W*$"
)
_REPEAT = re.compile(
    r"^(?:(?:sorry|pardon|excuse me|hello|um|i'm sorry)[,. ]*)?(?:pardon|pardon me|sorry|what"
    r"|what was that|what's that|what did you say|say (?:that|it) again|come again"
    r"|(?:can|could|would) you (?:please )?(?:repeat|say) .*|repeat .*"
    r"|i (?:didn't|did not|couldn't) (?:hear|catch|get) .*|once more)[ ?.!]*(?:please)?[ ?.!]*$"
)
_ASKS = re.compile(
    r"^(?:(?:and|but|so|oh|okay|ok|well|um|wait|also|by the way|one question|sorry)[, ]+)*"
    r"(?:what|when|where|who|which|why|how|is|are|do|does|did|can|could|will|would|should|may)\b"
)
_OWN = re.compile(
    r"^(?:(?:and|but|so|oh|okay|ok|wait|sorry)[, ]+)*(?:when|what|which|at what|can you tell)"
    r"\b.*\bmy\b"
)
_ASKS_FOR = re.compile(
    r"\b(?:how about|what about|can i|could i|can we|could we|may i|would|possible|free|available"
    r"|works?|make (?:it|that)|do you have anything|is \w+ (?:ok|okay|fine|good))\b"
)


def clauses(text: str) -> list[str]:
    """Return the sentences of an utterance, and the questions joined in one."""
    parts: list[str] = []
    for part in _SENTENCE.split(text.strip()):
        if parts and (_ABBREVIATED.search(parts[-1]) and not part[:1].isupper()):
            parts[-1] += " " + part
        else:
            parts.append(part)
    return [piece for part in parts for piece in _joined(part) if tokens(piece)]


def _joined(sentence: str) -> list[str]:
    pieces = _JOINT.split(sentence)
    return pieces if all(len(tokens(piece)) >= 2 for piece in pieces) else [sentence]


def says_yes(text: str) -> bool:
    """Whether it is a yes and little more."""
    return bool(_YES.match(_plain(text))) and len(tokens(text)) <= _SHORT


def says_no(text: str, words: int = _SHORT) -> bool:
    """Whether it is a no and little more; "know" is what is often heard."""
    return bool(_NO.match(_plain(text))) and len(tokens(text)) <= words


def corrects(text: str) -> bool:
    """Whether it takes back something said before."""
    return bool(_CORRECTION.search(_plain(text)))


def changes(text: str) -> bool:
    """Whether it wants something to be otherwise than arranged."""
    return bool(_CHANGE.search(_plain(text)))


def asks_to_wait(text: str) -> bool:
    """Whether the caller wants a moment."""
    return bool(_WAIT.match(_plain(text))) and not is_beginning(text)


def is_beginning(text: str) -> bool:
    """Whether nothing was said yet ("Actually,", "Sorry to interrupt.")."""
    if all(token in _FILLER for token in tokens(text)):
        return True
    return bool(_OPENING.match(_plain(text)))


def abandons(text: str) -> bool:
    """Whether it drops what is being arranged."""
    return bool(_ABANDON.search(_plain(text)))


def asks_to_repeat(text: str) -> bool:
    """Whether it was not understood what the bot said."""
    return bool(_REPEAT.match(_plain(text)))


def is_question(text: str) -> bool:
    """Whether it asks."""
    return text.rstrip().endswith("?") or bool(_ASKS.match(_plain(text)))


def asks_about_own(text: str) -> bool:
    """Whether it asks to be told something of the caller's ("what was my number?")."""
    return bool(_OWN.match(_plain(text)))


def asks_for(text: str) -> bool:
    """Whether it asks to have something ("could I come at three?"), not to know something."""
    return bool(_ASKS_FOR.search(_plain(text)))


def _plain(text: str) -> str:
    return normalised(text).strip()
