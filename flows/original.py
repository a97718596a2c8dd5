"""A page as it was crawled, read again from its crawl file in a process that lives no longer than that.

A server may be silent for minutes, the way to a text at the end of a large compressed file leads through all of it, and what a crawl
holds may be made to hurt: none of it shall hold or end a process that others wait for.

    stdin    {"store", "row", "parent"}
    stdout   {"text", "characters", "size", "encoding"} or {"problem"}
"""

import json
import sys
import threading
from typing import Any

from flows.engines.child import follow
from flows.locations import located
from stages.corpus.crawl import read_page
from stages.corpus.encoding import decode
from stages.corpus.limits import CpuLimitExceeded, limited
from storage.problem import Problem
from storage.store import Store

MOST = 500_000  # characters of the text; nobody reads more
SECONDS = 20  # of CPU time
MEGABYTES = 2_000  # a record may have 80 MB, and a row group of ready text some hundreds


def main() -> None:
    asked = json.load(sys.stdin)
    threading.Thread(target=follow, args=(asked["parent"],), daemon=True).start()
    try:
        with limited(SECONDS, MEGABYTES):
            answer = read(Store(asked["store"]), asked["row"])
    except Problem as problem:
        answer = {"problem": str(problem)}
    except (CpuLimitExceeded, MemoryError):
        answer = {"problem": f"The page takes more than {SECONDS} s or {MEGABYTES:,} MB to read; `winnow why` has its text."}
    except Exception as fault:  # disk, network, damage: botocore's and aiohttp's errors share no base with OSError
        answer = {
            "problem": f"The page cannot be read: {type(fault).__name__}: {fault}. Check crawl file, network and credentials."
        }
    json.dump(answer, sys.stdout)


def read(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    """`row`: one of `records`, or any with its columns. Raises Problem where its page cannot be read."""
    url = located(store, row["source"], row["file_path"])
    page = read_page(url, row)
    if page.error:
        raise Problem(f"The page is in {url} at byte {row['offset']:,}, but it cannot be decoded: {page.error}.")
    text, encoding = decode(page.payload, "utf-8" if row["field"] is not None else row["charset"])
    return {"text": text[:MOST], "characters": len(text), "size": len(page.payload), "encoding": encoding}


if __name__ == "__main__":
    main()
