"""Owns the local server that replays streams to the SDKs, and the way SDK clients are pointed at it.

Refuses every address but 127.0.0.1, and every proxy that the environment names.
"""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

KEY = "loopback"
TIMEOUT = 20.0
# The SDKs read these; a replay must not depend on them, and must never leave the machine.
FOREIGN = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ANTHROPIC_", "OPENAI_", "GOOGLE_", "GEMINI_", "OLLAMA_", "OTEL_")

Answer = tuple[int, dict[str, str], bytes]


def forget_environment() -> None:
    """Drops what would point an SDK elsewhere."""
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN):
            del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"


class Loopback:
    """Answers every POST with what `answer(path, headers, body)` returns, until closed."""

    def __init__(self, answer: Callable[[str, dict[str, str], bytes], Answer]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more, content = answer(self.path, headers, body)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                # HTTP/1.0: the end of the connection is the end of the body, as when a stream is cut.
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> "Loopback":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Clients:
    """One client for each vendor, without retries, all at the same base address."""

    def __init__(self, base: str, headers: dict[str, str] | None = None, gemini_version: str | None = None) -> None:
        self.base = base.rstrip("/")
        self.gemini_version = gemini_version
        self.headers = headers or {}

    def anthropic(self):
        from anthropic import Anthropic
        return Anthropic(api_key=KEY, base_url=self.base, max_retries=0, timeout=TIMEOUT, default_headers=self.headers)

    def openai(self):
        from openai import OpenAI
        return OpenAI(api_key=KEY, base_url=f"{self.base}/v1", max_retries=0, timeout=TIMEOUT, default_headers=self.headers)

    def gemini(self):
        from google import genai
        version = {} if self.gemini_version is None else {"api_version": self.gemini_version}
        options = genai.types.HttpOptions(
            base_url=self.base, headers=self.headers, timeout=int(TIMEOUT * 1000), **version)
        return genai.Client(api_key=KEY, http_options=options)

    def ollama(self):
        import ollama
        return ollama.Client(host=self.base, headers=self.headers, timeout=TIMEOUT)
