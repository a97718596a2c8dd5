"""Who may ask, and what a browser may do with the answer.

Without a token the viewer answers loopback names alone: a web page that points its own host name at 127.0.0.1 (DNS rebinding) is
refused by the Host header. With a token, `?token=` once sets a cookie; programs send `Authorization: Bearer`; `/health`, which says `ok`
and nothing else, needs none, so that whoever watches over a viewer need not be trusted with it. Every answer forbids scripts, frames, forms
and images from elsewhere, and caching.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; font-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HEALTH = "/health"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

Answer = Callable[[Request], Awaitable[Response]]


def guard(token: str | None) -> Callable[[Request, Answer], Awaitable[Response]]:
    """The middleware. A stranger gets one line of plain text, with no word about the store."""

    async def guarded(request: Request, answer: Answer) -> Response:
        response = _entry(request, token) or await answer(request)
        response.headers.update(HEADERS)
        return response

    return guarded


def _entry(request: Request, token: str | None) -> Response | None:
    """None where the request may go on."""
    if token is None:
        host = request.headers.get("host", "")
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if name.lower() not in LOOPBACK:
            return _refuse(
                403,
                f"this viewer answers {', '.join(LOOPBACK)} only, not {host!r}. To reach it from elsewhere, start it with a token",
            )
        return None
    if request.scope["path"] == HEALTH:  # the very text that routes are chosen by
        return None
    given = request.query_params.get("token")
    name, value = cookie(token)
    if given is not None:
        if not _same(given, token):
            return _refuse(
                401, "the token in the address is wrong; expected the one that the viewer was started with (WINNOW_VIEWER_TOKEN)"
            )
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, "the viewer only answers GET")
        rest = urlencode([(key, text) for key, text in request.query_params.multi_items() if key != "token"])
        # A path that begins with // would be another host's address.
        response = RedirectResponse("/" + request.url.path.lstrip("/\\") + (f"?{rest}" if rest else ""), 303)
        response.set_cookie(name, value, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return response
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    if _same(request.cookies.get(name, ""), value) or _same(bearer, token):
        return None
    return _refuse(
        401,
        "this viewer asks for a token: add ?token=... to the address, with the one that it was started with (WINNOW_VIEWER_TOKEN)",
    )


def _refuse(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def cookie(token: str) -> tuple[str, str]:
    """Name and value. The name differs between viewers on one host (cookies know no port); the value does not give the token away."""
    digest = hashlib.sha256(b"winnow viewer " + token.encode()).hexdigest()
    return f"winnow-{digest[:8]}", digest[8:]


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
