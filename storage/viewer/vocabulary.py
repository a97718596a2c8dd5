"""The pieces of a tokenizer: `vocabulary.parquet` in the folder of an artifact.

| column | type | meaning |
|---|---|---|
| id | int32 | the token |
| bytes | binary | what it stands for |
| kind | string | normal, control, byte or unused |

A dataset of tokens does not name its tokenizer; its lineage does: the nearest artifact that it descends from and that holds the file.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from storage.lineage import provenance
from storage.problem import Problem
from storage.shards import File
from storage.snapshot import Snapshot
from storage.store import Store
from storage.viewer.page import loaded, recipe_of
from storage.viewer.tables import opened
from storage.viewer.visible import visible

FILE = "vocabulary.parquet"
COLUMNS = {"id": pa.int32(), "bytes": pa.binary(), "kind": pa.string()}
MOST = 4_000_000  # pieces of a vocabulary; the largest in use have a few hundred thousand
LONGEST = 200  # bytes of a piece that are shown
_REFERENCE = re.compile(r"([a-z][a-z0-9_]*)/([0-9a-f]{12})@([0-9a-f]{12})")
_BLANK = re.compile(r"[ \t\n\r\xa0]")
_SIGNS = {" ": "·", "\t": "⇥", "\n": "⏎\n", "\r": "⇤", "\xa0": "⍽"}


@dataclass(frozen=True)
class Vocabulary:
    reference: str
    """The artifact that holds it."""
    ids: "np.ndarray[Any, np.dtype[np.int32]]"
    """Sorted."""
    pieces: pa.Table

    def piece(self, token: int) -> tuple[bytes | None, str]:
        """(bytes, kind); None and `unknown` for what the vocabulary does not have."""
        place = int(np.searchsorted(self.ids, token))
        if place == len(self.ids) or self.ids[place] != token:
            return None, "unknown"
        return self.pieces["bytes"][place].as_py(), self.pieces["kind"][place].as_py() or "normal"


def of(store: Store, snapshot: Snapshot) -> tuple[Vocabulary | None, str]:
    """The vocabulary of a dataset, or why there is none."""
    nodes = provenance(store)
    todo, seen = [snapshot.reference], {snapshot.reference}
    while todo:
        reference = todo.pop(0)
        match = _REFERENCE.fullmatch(reference)
        try:
            one = loaded(store, *match.groups()) if match else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            one = None
        for file in one.files if one else ():
            if one and file.name == FILE:
                try:
                    return _read(store, one.folder, file.name, file.bytes, file.digest, reference), ""
                except Problem as problem:
                    return None, str(problem)
        inputs = nodes[reference].inputs if reference in nodes else recipe_of(store, one.folder)["inputs"] if one else {}
        for parent in inputs.values():
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return None, f"nothing that {snapshot.reference} was made from holds {FILE}"


@lru_cache(maxsize=4)
def _read(store: Store, folder: str, name: str, size: int, digest: str, reference: str) -> Vocabulary:
    with opened(store, folder, File(name, size, digest)) as parquet:
        found = parquet.schema_arrow
        wrong = [
            f"{name}: expected {kind}, found {found.field(name).type if name in found.names else 'no such column'}"
            for name, kind in COLUMNS.items()
            if name not in found.names or found.field(name).type != kind
        ]
        if wrong:
            raise Problem(f"{reference} holds a {FILE} that is none: {'; '.join(wrong)}")
        if parquet.metadata.num_rows > MOST:
            raise Problem(f"{reference} holds a {FILE} of {parquet.metadata.num_rows:,} pieces; {MOST:,} are the most")
        pieces = parquet.read(columns=list(COLUMNS)).sort_by("id").filter(pa.compute.field("id").is_valid()).combine_chunks()
    return Vocabulary(reference, pieces["id"].to_numpy(), pieces)


def shown(piece: bytes) -> Markup:
    """A piece as HTML: bytes that are no UTF-8 as <0xNN>, white space visible, everything else as `visible` has it."""
    parts: list[Markup] = []
    rest = piece[:LONGEST]
    while rest:
        try:
            text, wrong, rest = rest.decode(), b"", b""
        except UnicodeDecodeError as error:
            text, wrong, rest = rest[: error.start].decode(), rest[error.start : error.end], rest[error.end :]
        at = 0
        for blank in _BLANK.finditer(text):
            parts += [visible(text[at : blank.start()]), Markup('<span class="space">{}</span>').format(_SIGNS[blank[0]])]
            at = blank.end()
        parts += [visible(text[at:]), *(Markup("&lt;0x{:02X}&gt;").format(byte) for byte in wrong)]
    return Markup("").join([*parts, " …" if len(piece) > LONGEST else ""])
