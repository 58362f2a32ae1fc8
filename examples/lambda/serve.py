"""Serves the function on loopback, as a function URL would: ``python serve.py --port 7900``."""

from __future__ import annotations

import argparse
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import desk

MAX_BODY = 1024 * 1024


class Shim(BaseHTTPRequestHandler):
    """Makes an event of a request, and a response of what the function returns."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        """Answer a turn."""
        size = min(int(self.headers.get("content-length", 0)), MAX_BODY)
        event = {
            "version": "2.0",
            "rawPath": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.rfile.read(size).decode(),
            "isBase64Encoded": False,
        }
        result = desk.handler(event, None)
        body = result["body"].encode()
        self.send_response(result["statusCode"])
        for name, value in result.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def main() -> None:
    """Serve until it is stopped; say on which port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=7900, help="0 takes any free port")
    options = parser.parse_args()
    if "DESK_SECRET" not in os.environ:
        parser.error("DESK_SECRET is not set: the secret that the bot's file names")
    with ThreadingHTTPServer(("127.0.0.1", options.port), Shim) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
