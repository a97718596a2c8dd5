"""`winnow bench`: measurements against peers and limits, each a module of its own."""

import typer

from flows.commands.bench.extract import extract
from flows.commands.bench.generate import generate
from flows.commands.bench.quantize import quantize
from flows.commands.bench.serve import serve
from flows.commands.bench.train import train
from flows.commands.bench.viewer import viewer

bench = typer.Typer(help="Measure Winnow on this machine.", no_args_is_help=True)
for command in (extract, generate, quantize, serve, train, viewer):
    bench.command()(command)
