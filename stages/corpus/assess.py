"""Every decision of the corpus flow against the truth of a simulated crawl: precision and recall, and which pages to look at.

In: `crawl` (the artifact of SIMULATE) and one artifact for each corpus stage that is to be judged, by its name (`pii` needs `dedup`). Out: `report.md` for
people and `report.parquet` with a row per stage:

| column | type | filters | extract | pii | corpus |
|---|---|---|---|---|---|
| stage | string | | | | all stages together |
| seen | i64 | pages that arrived | | items that arrived: personal data and decoys | pages of the crawl |
| meant | i64 | of them, pages that this stage should drop | | personal data | pages that any stage should drop |
| dropped | i64 | pages that it dropped | | items gone | pages not in the corpus |
| true_positives | i64 | dropped as meant | null | personal data gone | |
| precision, recall, f1 | f64 | | mean of the words | | |

**Recall**: of the pages that arrived and were meant for this stage, the share that it dropped. **Precision**: of the pages that it
dropped, the share that ought to go at all, by whichever stage: to drop junk early, or late because the right filter missed it, is
no mistake; to drop a good page is. Of a cluster of copies one is to stay, no matter which: with n copies arrived, n - 1 are meant for
`dedup`, and elsewhere a copy counts as the good page that it is. Extraction compares words (CJK by the character) as bags with the
planted main text. Left out: the wording of reasons, which profiles may choose differently.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from stages.stage import Config, Input, Stage
from storage.shards import encode, read_parquet

FILTERS = ("records", "url", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup")
ORDER = ("records", "url", "extract", *FILTERS[2:], "pii", "corpus")
COUNTS = ("seen", "meant", "dropped", "true_positives")
REPORT: dict[str, pl.DataType] = {
    "stage": pl.String(),
    **dict.fromkeys(COUNTS, pl.Int64()),
    **dict.fromkeys(("precision", "recall", "f1"), pl.Float64()),
}
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
WORST = 5
"""Pages named per stage in the report."""

Line = dict[str, int | float | str | None]


class AssessConfig(Config):
    """Nothing to set: the truth decides."""


def run(inputs: Mapping[str, Input], out: Path, config: AssessConfig) -> dict[str, float]:
    """Write the two reports. Returns the F1 of each stage. Raises ValueError where the crawl carries no truth."""
    crawl = inputs["crawl"]
    if "truth.parquet" not in crawl.names:
        raise ValueError(
            f"found {', '.join(crawl.names) or 'nothing'} in the crawl; expected truth.parquet: assess a simulated crawl"
        )
    truth = read_parquet(str(crawl.folder / "truth.parquet"))
    lines: list[Line] = []
    misses: dict[str, pl.DataFrame] = {}
    for stage in (name for name in ORDER if name in inputs):
        if stage == "extract":
            lines.append(extraction(truth, rows(inputs[stage], "id", "reason", "text")))
        elif stage == "pii":
            before = rows(inputs["dedup"], "id", "reason", "text").filter(pl.col("reason").is_null())
            lines.append(personal_data(truth, before, rows(inputs[stage], "id", "text")))
        else:
            judged = decisions(truth, stage, inputs[stage])
            lines.append(filtering(judged, stage))
            misses[stage] = judged
    report = pl.DataFrame(lines, schema=REPORT)
    (out / "report.parquet").write_bytes(encode(report, REPORT))
    (out / "report.md").write_text("\n".join(markdown(report, misses)), encoding="utf-8")
    return {str(line["stage"]): float(line["f1"] or 0.0) for line in lines}


def rows(artifact: Input, *columns: str) -> pl.DataFrame:
    return pl.concat(
        [
            pl.DataFrame(schema=dict.fromkeys(columns, pl.String())),
            *(read_parquet(str(shard), list(columns)) for shard in artifact.shards),
        ]
    )


def decisions(truth: pl.DataFrame, stage: str, artifact: Input) -> pl.DataFrame:
    """The pages that arrived: id, url, kind, drop, rule, cluster, and reason (null = kept). `records` and `corpus` see the whole crawl:
    what is not among their rows is gone."""
    about = truth.select("id", "url", "kind", "drop", "rule", "cluster")
    if stage == "corpus":
        kept = rows(artifact, "id").with_columns(reason=pl.lit(None, pl.String), here=pl.lit(True))
        return about.join(kept, on="id", how="left", maintain_order="left").with_columns(
            reason=pl.when(pl.col("here").is_null()).then(pl.lit("not in the corpus"))
        ).drop("here")  # fmt: skip
    seen = rows(artifact, "id", "reason")
    if stage == "records":
        absent = about.join(seen, on="id", how="anti").select("id", reason=pl.lit("no row"))
        seen = pl.concat([seen, absent])
    return about.join(seen, on="id", how="inner", maintain_order="left")


def filtering(judged: pl.DataFrame, stage: str) -> Line:
    """Counts for a filter. Copies are counted by cluster in `dedup` and `corpus`, and are good pages elsewhere."""
    gone = pl.col("reason").is_not_null()
    junk = pl.col("drop").is_not_null() & (pl.col("drop") != "dedup")
    mine = junk if stage == "corpus" else junk & (pl.col("drop") == stage)
    count = judged.select(meant=mine.sum(), hit=(mine & gone).sum(), right=(junk & gone).sum(), dropped=gone.sum()).row(
        0, named=True
    )
    meant, hit, right = int(count["meant"]), int(count["hit"]), int(count["right"])
    if stage in ("dedup", "corpus"):
        clusters = (
            judged.filter(pl.col("cluster").is_not_null() & ~junk).group_by("cluster").agg(spare=pl.len() - 1, gone=gone.sum())
        )
        copies = int(clusters.select(pl.min_horizontal("spare", "gone").sum()).item())
        meant, hit, right = meant + int(clusters["spare"].sum()), hit + copies, right + copies
    return line(stage, judged.height, meant, int(count["dropped"]), hit, ratio(right, int(count["dropped"])), ratio(hit, meant))


def extraction(truth: pl.DataFrame, extracted: pl.DataFrame) -> Line:
    """Mean precision, recall and F1 of the words, over the pages with a main text."""
    pages = truth.filter(pl.col("text").is_not_null()).select("id", gold="text").join(extracted, on="id", maintain_order="left")
    precision = recall = f1 = 0.0
    for gold, text in pages.select("gold", "text").iter_rows():
        wanted, found = Counter(WORD.findall(gold)), Counter(WORD.findall(text or ""))
        both = (wanted & found).total()
        precision += both / max(found.total(), 1)
        recall += both / max(wanted.total(), 1)
        f1 += 2 * both / max(wanted.total() + found.total(), 1)
    n = max(pages.height, 1)
    dropped = extracted["reason"].is_not_null().sum()
    return line("extract", pages.height, 0, int(dropped), None, precision / n, recall / n) | {"f1": f1 / n}


def personal_data(truth: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> Line:
    """Items that a text had `before`, and which of them it no longer has `after`."""
    joined = truth.select("id", "emails", "ips", "decoys").join(before.select("id", "text"), on="id", maintain_order="left")
    items = {"secret": [0, 0], "decoy": [0, 0]}  # seen, gone
    for _, emails, ips, decoys, old, new in joined.join(
        after.select("id", new="text"), on="id", maintain_order="left"
    ).iter_rows():
        for name, planted in (("secret", [*emails, *ips]), ("decoy", decoys)):
            present = [item for item in planted if item in old]
            items[name][0] += len(present)
            items[name][1] += sum(item not in new for item in present)
    (secrets, found), (decoys_seen, destroyed) = items["secret"], items["decoy"]
    return line(
        "pii", secrets + decoys_seen, secrets, found + destroyed, found, ratio(found, found + destroyed), ratio(found, secrets)
    )


def line(stage: str, seen: int, meant: int, dropped: int, hit: int | None, precision: float | None, recall: float | None) -> Line:
    f1 = None if precision is None or recall is None else ratio(2 * precision * recall, precision + recall) or 0.0
    return dict(zip(REPORT, (stage, seen, meant, dropped, hit, precision, recall, f1), strict=True))


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def markdown(report: pl.DataFrame, misses: Mapping[str, pl.DataFrame]) -> Iterator[str]:
    """The report for people: the table, the rules one by one, and the first pages that were judged wrongly."""
    yield "# How well the corpus flow found what was planted\n"
    yield "| stage | seen | meant to go | dropped | as meant | precision | recall | F1 |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in report.iter_rows():
        yield (
            "| "
            + " | ".join(f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value) for value in row)
            + " |"
        )
    yield "\n`extract` compares words with the planted main text; `pii` counts addresses, and decoys that must stay; `corpus` is all stages together."
    yield "\n## Rule by rule\n\n| stage | planted to break | arrived | dropped |\n|---|---|---:|---:|"
    for stage, judged in misses.items():
        if stage in ("corpus", "dedup"):
            continue
        planted = judged.filter(pl.col("drop") == stage).group_by("rule", maintain_order=True)
        for rule, arrived, gone in planted.agg(pl.len(), gone=pl.col("reason").is_not_null().sum()).sort("rule").iter_rows():
            yield f"| {stage} | {rule} | {arrived} | {gone} |"
    yield "\n## Look at these\n\n`winnow why ID` tells what was measured."
    for stage, judged in misses.items():
        if stage != "corpus":
            yield from wrong(stage, judged)


def wrong(stage: str, judged: pl.DataFrame) -> Iterator[str]:
    """The first few pages on which this stage and the truth disagree. A copy is missed where another of its cluster stays too."""
    good, kept = pl.col("drop").is_null(), pl.col("reason").is_null()
    missed = kept & (pl.col("drop") == stage)
    if stage == "dedup":
        good, missed = good & pl.col("cluster").is_null(), missed & (kept.sum().over("cluster") > 1)
    wrongly, missing = judged.filter(good & ~kept), judged.filter(missed)
    if wrongly.height + missing.height:
        yield f"\n**{stage}**: {wrongly.height} good pages dropped, {missing.height} planted pages missed\n"
        for identity, kind, reason in wrongly.head(WORST).select("id", "kind", "reason").iter_rows():
            yield f"- dropped by `{reason}`, though a good page ({kind}): `{identity}`"
        for identity, kind, rule in missing.head(WORST).select("id", "kind", "rule").iter_rows():
            yield f"- missed, though planted to break `{rule}` ({kind}): `{identity}`"


ASSESS = Stage(name="assess", version=1, run=run, config=AssessConfig, shape="whole")
