"""The tokenizer flow: a corpus that is there to a vocabulary, and how well it fits."""

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from flows.notify import on_end
from flows.run import Mechanics, open_run
from flows.stored import stored
from stages.tokens.tokenizer import TOKENIZER, TokenizerConfig


class TokenizerParameters(Mechanics):
    """Which text a vocabulary is learnt from, and of what kind it is."""

    corpus: str = "corpus@latest"
    """Artifact with the columns id and text: a stage (corpus@latest), a key, stage/key@snapshot, or a path."""
    tokenizer: TokenizerConfig = TokenizerConfig()


def run_name() -> str:
    """What the run does, for lists of runs."""
    p: TokenizerParameters = flow_run.parameters["parameters"]
    return f"{p.tokenizer.kind} of {p.tokenizer.size:,} from {p.corpus}"


@flow(name="tokenizer", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def tokenizer(parameters: TokenizerParameters) -> dict[str, Any]:
    """A tokenizer that transformers reads, and that `winnow run pretrain --set tokenizer_from=tokenizer` trains with."""
    p = parameters
    with open_run("tokenizer", p.model_dump(mode="json"), p) as run:
        made = run.stage(TOKENIZER, p.tokenizer, docs=stored(run.store, p.corpus))
        report = run.store.read(f"{made.snapshot.folder}/report.md").decode("utf-8")
        create_markdown_artifact(markdown=report, key="tokenizer", description="How well the vocabulary fits")
        run.bar.console.print(report, markup=False)
        run.bar.console.print(
            f'See how it splits: winnow tokens --tokenizer {made.snapshot.reference} "any text"', soft_wrap=True, highlight=False
        )
        return run.summary()
