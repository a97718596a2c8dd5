"""`/c4`, `/c4@latest`, `/c4/0123456789ab`, `/0123`: what a person may call an artifact, led to the page of the snapshot that is meant."""

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from storage.artifact import resolve
from storage.problem import Problem
from storage.viewer.page import Page, Viewer, address


def view(viewer: Viewer, request: Request) -> Response:
    text = "/".join(request.path_params.values())
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*(@latest)?(/[0-9a-f]{12})?", text):
        raise HTTPException(404, f"{text!r} names no artifact; expected a stage, stage@latest, stage/key or a key")
    try:
        return RedirectResponse(address(resolve(viewer.store, text).reference), 302)
    except Problem as error:
        raise HTTPException(404, str(error)) from None


STAGE = Page("/{stage}", view)
KEY = Page("/{stage}/{key}", view)
