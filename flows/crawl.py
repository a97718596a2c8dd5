"""From what a person names as sources to the artifact `sources` and to where each crawl file lies now.

Hashing a crawl is the one thing that a second run cannot skip by looking at artifacts, so digests are remembered by a file's token
(size and time, or ETag) in the store's `.winnow/sources.json`: a memo that may be deleted at any time.
"""

import json
from collections import Counter
from collections.abc import Iterable

from flows.engines.engine import Died, Failed
from flows.identity import Dataset
from flows.locations import MEMO, memo
from flows.materialize import Context, sources
from flows.run import Run
from stages.corpus.sources import SOURCES, SourceFile, SourcesConfig, content_digest, digest, discover, source_row
from storage.problem import Problem
from storage.shards import read_shard

DAMAGE = "record_error:"
MOST_NAMED = 5


def crawl_files(run: Run, patterns: list[str], limit: int | None, base_url: str) -> tuple[Dataset, dict[str, str]]:
    """The artifact of the crawl files, and source digest -> URL. Identical files are read once, and that is said."""
    found = discover(patterns, common_crawl=base_url, limit=limit)
    locations: dict[str, str] = {}

    def make(context: Context) -> Dataset:
        contents = _contents(context, found)
        first: dict[str, SourceFile] = {}
        rows = {}
        for source in found:
            twin = first.setdefault(contents[source.url], source)
            if twin is not source:
                context.say(f"sources: {source.path} is identical to {twin.path}; it is read once")
                continue
            name = digest(source, contents[source.url])
            rows[name] = (source.path, source_row(source, name))
            locations[name[:16]] = source.url
        return sources(context, SOURCES, SourcesConfig(), rows)

    return run.task(SOURCES.name, make), locations


def tell_damage(run: Run, records: Dataset) -> None:
    """One line on what of the crawl files cannot be read, and in which files; nothing where all is sound."""
    counts: Counter[str] = Counter()
    shards = []
    for file in records.snapshot.shards:
        broken = {reason: count for reason, count in (file.reasons or {}).items() if reason.startswith(DAMAGE)}
        counts.update(broken)
        shards += [file] if broken else []
    if not counts:
        return
    paths = [
        read_shard(run.store, records.snapshot.folder, shard, ["file_path"])["file_path"][0] for shard in shards[:MOST_NAMED]
    ]
    where = ", ".join(dict.fromkeys(paths)) + (f" and {len(shards) - MOST_NAMED} more" if len(shards) > MOST_NAMED else "")
    what = ", ".join(f"{reason.removeprefix(DAMAGE)} {count:,}" for reason, count in counts.most_common())
    run.say(
        f"records: {counts.total():,} cannot be read ({what}) in {where}; the rest is used. "
        f"Look: winnow show records --where \"reason like '{DAMAGE}%'\""
    )


def _contents(context: Context, found: Iterable[SourceFile]) -> dict[str, str]:
    """URL -> content digest; files whose token is known are not read."""
    known = memo(context.store)
    contents = {source.url: known[source.url][1] for source in found if known.get(source.url, ("", ""))[0] == source.token}
    unknown = [source for source in found if source.url not in contents]
    for done, (index, result) in enumerate(context.engine.map(content_digest, unknown), 1):
        if isinstance(result, Failed | Died):
            why = result.error if isinstance(result, Failed) else result.detail
            raise Problem(f"sources: cannot read {unknown[index].url}: {why}. Expected a readable file; check it and run again")
        contents[unknown[index].url] = result
        context.advance(SOURCES.name, done, len(unknown))
    if unknown:
        known |= {source.url: (source.token, contents[source.url]) for source in unknown}
        context.store.write(MEMO, json.dumps(known, indent=0, sort_keys=True).encode())
    return contents
