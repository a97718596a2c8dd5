"""The command line: `winnow`, or `python -m flows`. Each command lives in `flows/commands/`; this file only names them.

Errors meant for a person (Problem) are one message and exit code 2; anything else is a bug and shows its traceback.
Ctrl-C ends a command with 130 (typer sees to it; `flows/commands/run.py` says what becomes of a run).
"""

import sys

import typer

from flows.commands.ask import ask
from flows.commands.bench import bench
from flows.commands.chat import chat
from flows.commands.demo import demo
from flows.commands.doctor import doctor
from flows.commands.label import label
from flows.commands.lineage import lineage
from flows.commands.report import report
from flows.commands.run import run
from flows.commands.sample import sample
from flows.commands.serve import serve
from flows.commands.show import show
from flows.commands.size import size
from flows.commands.tokens import tokens
from flows.commands.up import up
from flows.commands.upkeep import gc, verify
from flows.commands.why import why
from models.unusable import Unusable
from storage.problem import Problem

app = typer.Typer(
    name="winnow",
    help="From a raw web crawl to a language model: every step a cached, resumable task over Parquet artifacts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (demo, run, up, show, why, tokens, sample, ask, chat, serve, label, size, lineage, report, verify, gc, doctor):
    app.command()(command)
app.add_typer(bench, name="bench")


def main() -> None:
    try:
        app()
    except (Problem, Unusable) as problem:
        print(f"winnow: {problem}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
