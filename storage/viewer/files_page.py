"""The files of an artifact: `.../files` lists them, `.../files/{name}` shows one that is text, or the head of an array.

Only names that the snapshot lists are ever opened. Text is shown as text, whatever it says.
"""

import io
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from storage.shards import File
from storage.snapshot import Snapshot
from storage.viewer.page import ARTIFACT, Page, Viewer, chosen, only, render

TEXT = (".json", ".jsonl", ".md", ".txt", ".csv", ".tsv", ".log", ".yaml", ".yml", ".toml", ".vocab", ".model.txt", ".jinja")
MOST = 400_000  # bytes of a text file that are shown


def listing(viewer: Viewer, request: Request) -> Response:
    only(request)
    snapshot = chosen(viewer, request)
    return render(viewer, request, "files.html", snapshot, files=snapshot.files, shown=shown)


def one(viewer: Viewer, request: Request) -> Response:
    only(request)
    snapshot = chosen(viewer, request)
    name = request.path_params["name"]
    for file in snapshot.files:
        if file.name == name and shown(file):
            return render(viewer, request, "file.html", snapshot, file=file, **_content(viewer, snapshot, file))
    raise HTTPException(404, f"{snapshot.reference} lists no file {name!r} that can be shown; its page Files names them")


def shown(file: File) -> bool:
    return file.name.endswith((*TEXT, ".npy"))


def _content(viewer: Viewer, snapshot: Snapshot, file: File) -> dict[str, Any]:
    path = viewer.store.full(f"{snapshot.folder}/{file.name}")
    try:
        data: bytes = viewer.store.fs.cat_file(path, start=0, end=min(MOST, file.bytes))
    except FileNotFoundError:
        raise HTTPException(404, f"{path} is gone although the snapshot lists it; run the flow again to make it anew") from None
    if file.name.endswith(".npy"):
        return {"text": _array(data), "cut": False}
    return {"text": data.decode("utf-8", "replace"), "cut": file.bytes > MOST}


def _array(data: bytes) -> str:
    """Type and shape from the head of a .npy file; nothing in it is executed, since pickles are not loaded."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except ValueError as error:
        return f"not a NumPy array: {error}"
    return f"a NumPy array of {dtype}, shape {shape}, {'column' if fortran else 'row'}-major"


PAGE = Page(f"{ARTIFACT}/files", listing, "Files")
FILE = Page(f"{ARTIFACT}/files/{{name:path}}", one)
