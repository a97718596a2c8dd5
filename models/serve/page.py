"""The chat page: one document, in which its style and its script stand, and which may load nothing else.

What a model writes becomes text nodes, never HTML; the policy below, with the digests of the one style and the one script, would stop
anything else.
"""

import base64
import hashlib
from pathlib import Path

from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("elements.js", "server.js", "answer.js", "chat.js")
"""One function's body together: the first three are what the last one uses."""


def page() -> Response:
    html, style = _read("chat.html"), _read("chat.css")
    script = f'"use strict";\n(() => {{\n{"".join(map(_read, SCRIPTS))}}})();\n'
    html = html.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; connect-src 'self'; "
        "img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
