"""URL block lists as sorted hashes, which all workers map into memory and share.

In: `inputs["lists"]`, the folder of the four list files that `list_files` finds in the installed datatrove. Out, in `out`:

| file | |
|---|---|
| domains.npy | u64, sorted: xxh64 of each domain or host |
| urls.npy | u64, sorted: xxh64 of each URL, as listed: without scheme |
| words.json | {"hard": [...], "soft": [...], "sub": [...]}, sorted, lower-case letters and digits only |

4.6 million domains take 36 MB once, instead of 616 MB of strings in every process. Two of 4.6 million and one URL have the same hash
with probability 2.5e-13. Lines that begin with `#` do not count.
Source: the lists of the Universite Toulouse Capitole and the words of FineWeb, which datatrove 0.10.1 ships without a licence note;
they are read where they are installed and copied nowhere.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh64_intdigest

from stages.stage import Config, Input, Stage
from storage.problem import Problem

ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
WORDS = {"hard": "banned_words.txt", "soft": "soft_banned_words.txt", "sub": "banned_subwords.txt"}
NOT_WORD = re.compile(r"[^a-zA-Z0-9]+")


class BlocklistsConfig(Config):
    """Settings of `blocklists`."""

    extra_domains: tuple[str, ...] = ()
    """Domains and hosts to block beside the listed ones."""
    extra_urls: tuple[str, ...] = ()
    """URLs to block beside the listed ones, without scheme."""


def list_files() -> tuple[Path, ...]:
    """The list files of the installed datatrove, all in one folder."""
    folder = Path(str(distribution("datatrove").locate_file("datatrove/assets")))
    return tuple(folder / name for name in (ARCHIVE, *WORDS.values()))


def key(entry: str) -> int:
    """The hash under which an entry is stored."""
    return xxh64_intdigest(entry.encode("utf-8", "surrogatepass"))


def _hashes(lines: Iterable[bytes], extra: Iterable[str]) -> npt.NDArray[np.uint64]:
    listed = np.fromiter((xxh64_intdigest(line.strip()) for line in lines if not line.startswith(b"#")), dtype=np.uint64)
    return np.unique(np.concatenate([listed, np.array([key(entry) for entry in extra], dtype=np.uint64)]))


def _words(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted({NOT_WORD.sub("", line).lower() for line in lines if not line.startswith("#")} - {""})


def run(inputs: Mapping[str, Input], out: Path, config: BlocklistsConfig) -> dict[str, Any]:
    """Write the three files into `out`; the number of entries in each list. Raises FileNotFoundError where a list is missing."""
    lists = inputs["lists"]
    missing = sorted({ARCHIVE, *WORDS.values()} - set(lists.names))
    if missing:
        raise Problem(
            f"found no {', '.join(missing)} in {lists.folder}, expected the list files of datatrove 0.10.1: "
            "reinstall datatrove at the version in constraints.txt"
        )
    counts: dict[str, Any] = {}
    with tarfile.open(lists.folder / ARCHIVE, "r:gz") as archive:
        for member, extra in (("urls", config.extra_urls), ("domains", config.extra_domains)):
            lines = archive.extractfile(member)
            if lines is None:
                raise Problem(f"found {member} in {ARCHIVE} to be no file, expected a list: reinstall datatrove")
            hashes = _hashes(lines, extra)
            np.save(out / f"{member}.npy", hashes)
            counts[member] = len(hashes)
    words = {name: _words(lists.folder / file) for name, file in WORDS.items()}
    (out / "words.json").write_text(json.dumps(words, indent=1), encoding="utf-8")
    return counts | {name: len(entries) for name, entries in words.items()}


BLOCKLISTS = Stage(name="blocklists", version=1, run=run, config=BlocklistsConfig, shape="whole")
