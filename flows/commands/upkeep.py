"""`winnow verify` and `winnow gc`: is the store what it says, and what may go."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from flows.commands.options import JsonOption, StoreOption, open_store
from storage.artifact import resolve
from storage.collect import garbage
from storage.verify import verify as verify_store


def verify(
    artifact: Annotated[str | None, typer.Argument(help="Only this artifact; default: the whole store.")] = None,
    store: StoreOption = "./store",
    json_: JsonOption = False,
) -> None:
    """Check every file against its snapshot by size and sha256; exit code 1 where something is missing, truncated or altered."""
    opened = open_store(store)
    only = resolve(opened, artifact) if artifact else None
    checked = 0

    def count(path: str) -> None:
        nonlocal checked
        checked += 1

    console = Console(stderr=True, highlight=False)
    with console.status("reading"):
        findings = verify_store(opened, only, count)
    harmful = [finding for finding in findings if finding.harmful]
    if json_:
        print(json.dumps({"files": checked, "findings": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            print(f"{finding.problem}: {opened.full(finding.path)}: {finding.detail}")
        print(
            f"{checked} files checked, {len(harmful)} of them damaged"
            + (f", {len(findings) - len(harmful)} leftovers" if findings else "")
        )
    if harmful:
        sys.exit(1)


def gc(
    store: StoreOption = "./store",
    delete: Annotated[bool, typer.Option("--delete", help="Delete; without it, only say what would go.")] = False,
    json_: JsonOption = False,
) -> None:
    """List data that no kept run needs; with --delete, delete it. Snapshots, recipes and run records always stay."""
    opened = open_store(store)
    found = garbage(opened)
    size = sum(one.bytes for one in found)
    if delete:
        for one in track(found, "deleting", console=Console(stderr=True), transient=True):
            opened.remove(one.path)
    if json_:
        print(json.dumps({"deleted": delete, "bytes": size, "files": [asdict(one) for one in found]}))
        return
    if not delete:
        for one in found:
            print(f"{one.bytes:>14,}  {one.path}  ({one.why})")
    verb = "deleted" if delete else "could go; delete them with --delete"
    print(f"{len(found)} files, {size / 1e6:,.1f} MB {verb}")
