"""The chat page: one document, in which its style and its script stand, and which may load nothing else.

What a model writes becomes text nodes, never HTML; the policy below, with the digests of the one style and the one script, would stop
anything else.
"""

import base64
import hashlib
from pathlib import Path

from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"


def page() -> Response:
    parts = {name: (STATIC / f"chat.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    html = parts["html"].replace("/* style */", parts["css"]).replace("/* script */", parts["js"])
    policy = (
        f"default-src 'none'; style-src '{_digest(parts['css'])}'; script-src '{_digest(parts['js'])}'; connect-src 'self'; "
        "img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
