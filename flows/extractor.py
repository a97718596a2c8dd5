"""The extractor flow: pages with gold text to a model of the main-text extractor, cross-validated by site."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

from flows.identity import Given
from flows.notify import on_end
from flows.run import Mechanics, open_run
from stages.corpus.simulate import SIMULATE, SimulateConfig
from stages.extraction.train_extractor import TRAIN_EXTRACTOR, TrainExtractorConfig
from stages.stage import Input
from storage.problem import Problem


class ExtractorParameters(Mechanics):
    """Pages with their main text, and how the model is made from them."""

    pages: list[str] = Field(min_length=1)
    """Files of one folder with the columns html and gold_text: .parquet, or .jsonl, also .gz, .xz or .zst."""
    with_simulated: bool = True
    """Whether pages of the made-up web, whose main text is known, are added."""
    simulate: SimulateConfig = SimulateConfig(pages=600)
    """Which made-up web."""
    train: TrainExtractorConfig = TrainExtractorConfig()


@flow(name="extractor", flow_run_name="extraction model", persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def extractor(parameters: ExtractorParameters) -> dict[str, Any]:
    """A model for `--set extraction_model=...` of the corpus flow, and a card that says how good it is."""
    p = parameters
    with open_run("extractor", p.model_dump(mode="json"), p) as run:
        crawl: dict[str, Given] = {"crawl": run.stage(SIMULATE, p.simulate)} if p.with_simulated else {}
        made = run.stage(TRAIN_EXTRACTOR, p.train, None, crawl, pages=_files(p.pages))
        card = run.store.read(f"{made.snapshot.folder}/MODEL_CARD.md").decode("utf-8")
        create_markdown_artifact(markdown=card, key="model-card", description="How good the extraction model is")
        run.bar.console.print(card, markup=False)
        run.bar.console.print(f"The model: {run.store.full(made.snapshot.folder)}/model.npz", soft_wrap=True, highlight=False)
        return run.summary()


def _files(pages: list[str]) -> Input:
    paths = [Path(page) for page in pages]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise Problem(f"there is no file {', '.join(missing)}; expected files of pages with the columns html and gold_text")
    folders = {path.parent.resolve() for path in paths}
    if len(folders) > 1:
        raise Problem(f"pages lie in {', '.join(map(str, sorted(folders)))}; put them (or links to them) into one folder")
    return Input(paths[0].parent, tuple(sorted(path.name for path in paths)))
