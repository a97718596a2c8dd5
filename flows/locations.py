"""Where a crawl file lies now: what a store remembers of those that its runs have read.

Rows name their crawl file by a digest of its content and of its path below the sources' root. The memo has the content digest of every
file by its URL: so of all files of the machine or the bucket only those can be found that a run on this store was given.
"""

import contextlib
import json
from pathlib import Path

from stages.corpus.sources import SourceFile, digest, discover
from storage.problem import Problem
from storage.store import Store

MEMO = ".winnow/sources.json"


def memo(store: Store) -> dict[str, tuple[str, str]]:
    """URL -> (token, content digest)."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, AttributeError):  # gone, or no memo of ours
        return {url: (token, content) for url, (token, content) in json.loads(store.read(MEMO)).items()}
    return {}


def located(store: Store, source: str, path: str) -> str:
    """URL of the crawl file that rows call `source` and `path`. Raises Problem where that is unknown, gone or changed since."""
    candidates = {
        url: token
        for url, (token, content) in memo(store).items()
        if digest(SourceFile(url, path, None, token, ""), content)[:16] == source
    }
    wrong = (
        f"It is not known where {path} lies: {store.full(MEMO)} names no file with the content that was indexed. The file was indexed "
        "anew since then (look at the newest run), or the memo was deleted (run the flow again)."
    )
    for url, token in candidates.items():
        try:
            _check(url, token)
        except Problem as problem:
            wrong = str(problem)
        else:
            return url
    raise Problem(wrong)


def _check(url: str, token: str) -> None:
    """Raises Problem unless the file is as it was when it was indexed. Part of a published crawl: its URL is its token, it never changes."""
    if token == url:
        return
    if "://" not in url and not Path(url).is_file():
        raise Problem(f"The crawl file {url} is gone. Put it back, or run the flow again with the folder where it is now.")
    now = discover([url])[0].token
    if now != token:
        raise Problem(
            f"The crawl file {url} is not the one that was indexed: expected {_told(token)}, found {_told(now)}. Put the old one back, "
            "or run the flow again and look at the new run."
        )


def _told(token: str) -> str:
    size, _, state = token.partition("-")
    return f"{int(size):,} bytes of state {state}" if size.isdigit() else token
