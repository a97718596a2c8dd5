"""`winnow bench extract PAGES`: main-text extractors side by side, in F1 and CPU time."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from flows.commands.bench.pareto import pareto
from flows.commands.options import JsonOption
from flows.commands.terminal import console
from stages.extraction.evaluation import METHODS, Comparison, compared, evaluate
from stages.extraction.extractor import compile_all, is_compiled
from stages.extraction.model import Model, load
from stages.extraction.pages import GoldPage, gold_pages
from stages.extraction.train_extractor import TrainExtractorConfig, cross_validate, folds_of, labelled
from storage.problem import Problem


def extract(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="PAGES...", help="Pages with the columns html and gold_text: .parquet or .jsonl(.gz, .xz, .zst)."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="Judge this model, on pages that it has not seen. Default: train and cross-validate by site."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Only this one of winnow, trafilatura, resiliparse; may be given many times."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Every n-th page, so that about this many are left; 0: all.")] = 0,
    folds: Annotated[int, typer.Option("--folds", min=2, max=50, help="Folds of the cross-validation.")] = 5,
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw F1 against CPU time into this .svg file.")] = None,
    json_: JsonOption = False,
) -> None:
    """Word-level precision, recall and F1 (macro over pages) and CPU seconds for 1,000 pages, by source, page type and language.

    By default winnow's models are trained here, each page judged by one that has seen no page of its site: minutes. Example:
    winnow bench extract wcxb_dev.jsonl.xz gold.jsonl.xz
    """
    methods = tuple(method or METHODS)
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise Problem(f"--method {unknown[0]}: expected one of {', '.join(METHODS)}")
    shown = Console(stderr=True, highlight=False)
    pages = [page for file in files for page in gold_pages(file)]
    if limit and len(pages) > limit:
        pages = pages[:: max(1, len(pages) // limit)]
    if not pages:
        raise Problem("the files hold no page")
    if "winnow" in methods and not is_compiled():
        shown.print("Compiling the extractor, once: half a minute")
        compile_all()
    model_of = _given(model) if model else _cross_validated(pages, folds, shown) if "winnow" in methods else _none
    shown.print(f"{len(pages):,} pages, {', '.join(methods)}")
    results = evaluate(pages, model_of, methods)
    comparisons = compared(results)
    totals = results.group_by("method", maintain_order=True).agg(
        pl.mean("precision", "recall", "f1"), cpu_seconds_per_1000=pl.mean("seconds") * 1000, failed=pl.sum("failed")
    )
    if picture:
        picture.write_text(
            pareto({row["method"]: (row["cpu_seconds_per_1000"], row["f1"]) for row in totals.to_dicts()}), encoding="utf-8"
        )
    if json_:
        print(json.dumps({"pages": len(pages), "methods": totals.to_dicts(), "by": [asdict(one) for one in comparisons]}))
        return
    console().print(_speed(totals))
    console().print(_kinds(comparisons, methods))


def _given(path: Path) -> Callable[[int], Model]:
    model = load(path)
    return lambda page: model


def _none(page: int) -> Model:
    raise AssertionError("no method asks for a model")


def _cross_validated(pages: list[GoldPage], folds: int, shown: Console) -> Callable[[int], Model]:
    config = TrainExtractorConfig(folds=folds)
    shown.print(f"Labelling {len(pages):,} pages")
    models = [Model(trees, {}) for trees in cross_validate(labelled(pages), config, threads=0, say=shown.print)]
    fold = folds_of(pages, folds)
    return lambda page: models[fold[page]]


def _speed(totals: pl.DataFrame) -> Table:
    table = Table(title="All pages", title_justify="left", box=None, header_style="bold")
    for name in ("method", "precision", "recall", "F1", "CPU s / 1,000 pages", "failed"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in totals.iter_rows(named=True):
        figures = (row["precision"], row["recall"], row["f1"])
        table.add_row(
            row["method"], *(f"{figure:.3f}" for figure in figures), f"{row['cpu_seconds_per_1000']:.2f}", str(row["failed"])
        )
    return table


def _kinds(comparisons: list[Comparison], methods: tuple[str, ...]) -> Table:
    table = Table(title="F1", title_justify="left", box=None, header_style="bold")
    for name in ("pages of", "pages", *methods, "lead", "95 % interval"):
        table.add_column(name, justify="left" if name == "pages of" else "right")
    for one in comparisons:
        lead = (f"{one.lead[0]:+.3f}", f"{one.lead[1]:+.3f} .. {one.lead[2]:+.3f}") if one.lead else ("", "")
        table.add_row(one.kind, f"{one.pages:,}", *(f"{one.f1[method]:.3f}" for method in methods), *lead)
    return table
