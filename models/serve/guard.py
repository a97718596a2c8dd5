"""Who may ask, as a layer around the application.

Without a key loopback names alone are answered: a web page that points its own host name at 127.0.0.1 (DNS rebinding) is refused by the
Host header, one that just posts here by its Origin. With a key everything under /v1/ asks for `Authorization: Bearer`; the chat page
holds no secret and comes without.
"""

import hmac

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.serve.refused import Refused

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refused = self._refused(Headers(scope=scope), scope["path"])
        if refused is not None:
            await JSONResponse(refused.document, refused.status)(scope, receive, sent)
            return
        await self.app(scope, receive, sent)

    def _refused(self, headers: Headers, path: str) -> Refused | None:
        host = headers.get("host", "")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return Refused(f"this server does not answer pages of {origin}", code="forbidden", status=403)
        if self.key is None:
            name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
            if name.lower() in LOOPBACK:
                return None
            text = (
                f"this server answers {', '.join(LOOPBACK)} only, not {host!r}; to reach it from elsewhere, start it with a key"
            )
            return Refused(text, code="forbidden", status=403)
        if not path.startswith("/v1/"):
            return None
        given = headers.get("authorization", "")
        if hmac.compare_digest(given.encode("latin-1"), f"Bearer {self.key}".encode()):
            return None
        what = "a wrong API key" if given else "no API key"
        return Refused(
            f"found {what}; expected `Authorization: Bearer KEY` with the server's", code="invalid_api_key", status=401
        )
