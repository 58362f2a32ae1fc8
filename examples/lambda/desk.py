"""The front desk of the demo as one serverless function: AWS Lambda's handler, nothing installed.

A turn comes in as a signed HTTP request; the answer is what the bot does. The function remembers
nothing: what it wants to know next time it has the call remember (``set``).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import time
from typing import Any

TOLERANCE_SECONDS = 300
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = {"one": 13, "two": 14, "three": 15, "four": 16, "five": 17, "six": 18}
FACTS = {
    "opening hours on saturday": "On Saturday we are open from nine until noon.",
    "first visit": "Please bring your insurance card, and a list of the medicines that you take. "
    "If another doctor has sent you, bring the letter, too. Be there ten minutes early.",
    "parking": "Yes, there are six parking spaces behind the house.",
}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one turn: ``event`` as API gateways and function URLs send it (format 2.0)."""
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    if not signed(event.get("headers") or {}, body):
        return {"statusCode": 401, "body": "bad signature"}
    answer = {"actions": actions(json.loads(body))}
    headers = {"content-type": "application/json"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(answer)}


def signed(headers: dict[str, str], body: str) -> bool:
    """Tell whether the request is voicemesh's, and new (https://www.standardwebhooks.com)."""
    key = base64.b64decode(os.environ["DESK_SECRET"].removeprefix("whsec_"))
    identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
    wanted = base64.b64encode(
        hmac.digest(key, f"{identity}.{sent}.{body}".encode(), hashlib.sha256)
    ).decode()
    fresh = sent.isdigit() and abs(time.time() - int(sent)) < TOLERANCE_SECONDS
    given = headers.get("webhook-signature", "").split()
    return fresh and any(hmac.compare_digest(each, f"v1,{wanted}") for each in given)


def actions(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what to do in a turn."""
    if not turn["transcript"]:
        return [{"say": "Riverside Practice, good day. How can I help you?"}]
    last = turn["transcript"][-1]
    if last["speaker"] == "tool":
        return booked(json.loads(last["text"]), turn["variables"])
    return reply(turn["said"].lower(), turn["variables"])


def reply(said: str, known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what to do about the caller's words."""
    if "goodbye" in said:
        return [{"say": "Goodbye."}, {"hang_up": True}]
    for question, answer in FACTS.items():
        if question in said:
            return [{"say": answer}]
    if name := re.search(r"my name is ([a-z ]+)", said):
        return book(known | {"name": name[1].title().strip()})
    if day := next((day for day in DAYS if day in said), ""):
        hour = next((hour for word, hour in HOURS.items() if word in said.split()), None)
        at = {"time": f"{hour}:00"} if hour else {}
        return book(known | {"day": day} | at)
    return [{"say": "I'm sorry, I don't know that."}]


def book(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for what is missing, or book."""
    keep = {"set": {key: known[key] for key in ("day", "time", "name") if key in known}}
    for missing, question in (("time", "At what time?"), ("name", "What name may I put down?")):
        if missing not in known:
            return [{"say": question}, keep]
    wanted = {"date": date_of(known["day"]), "time": known["time"], "name": known["name"]}
    if "confirmation" in known:
        wanted["replaces"] = known["confirmation"]
    return [keep, {"call_tool": {"name": "book_appointment", "arguments": wanted}}]


def booked(result: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell what has become of a booking."""
    if "confirmation" not in result:
        return [{"say": "I'm sorry, that is not free. What other time would suit you?"}]
    number = str(result["confirmation"])
    return [
        {"say": f"You are booked for {known['day'].title()}. Your number is {number}."},
        {"set": {"confirmation": number}},
    ]


def date_of(day: str) -> str:
    """Return the date of the next such day, tomorrow at the earliest."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    ahead = (DAYS.index(day) - today.weekday() - 1) % 7 + 1
    return (today + datetime.timedelta(days=ahead)).isoformat()
