"""The corpus flow: from crawl files to a clean Parquet corpus. Penedo et al. 2024, "The FineWeb Datasets" (sections 3.1 to 3.7)."""

from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.crawl import crawl_files, tell_damage
from flows.funnel import funnel, publish, show
from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.profiles import Profile, effective
from flows.run import Mechanics, Parameters, Run, open_run
from stages.corpus.blocklists import BLOCKLISTS, BlocklistsConfig, list_files
from stages.corpus.c4 import C4, C4Config
from stages.corpus.clusters import CLUSTERS, ClustersConfig
from stages.corpus.corpus import CORPUS, CorpusConfig
from stages.corpus.dedup import DEDUP, DedupConfig
from stages.corpus.extract import EXTRACT, ExtractConfig
from stages.corpus.fineweb import FINEWEB, FineWebConfig
from stages.corpus.gopher_quality import GOPHER_QUALITY, GopherQualityConfig
from stages.corpus.gopher_repetition import GOPHER_REPETITION, GopherRepetitionConfig
from stages.corpus.language import LANGUAGE, LanguageConfig, default_model
from stages.corpus.minhash import SIGNATURES, SignatureConfig
from stages.corpus.pii import PII, PiiConfig
from stages.corpus.records import RECORDS, RecordsConfig
from stages.corpus.url import URL, UrlConfig
from stages.extraction.compiled import FOLDER
from stages.extraction.extractor import compile_all, is_compiled
from stages.extraction.model import SHIPPED
from stages.stage import Config, Input, Stage

Filter = Literal["language", "gopher_repetition", "gopher_quality", "c4", "fineweb", "dedup", "pii"]


class CorpusSettings(Parameters):
    """Which crawl to read, and the settings of every step on the way to the corpus."""

    sources: list[str] = Field(min_length=1)
    """Crawl files: paths, globs, s3:// or https:// URLs, or a Common Crawl dump id such as CC-MAIN-2024-10."""
    profile: Profile = "winnow"
    """Whose recipe: ours, the library datatrove 0.10's, or FineWeb's as published. A setting left at its default takes the profile's
    value; a setting given another value wins."""
    files: int = Field(default=0, ge=0)
    """At most this many files of a Common Crawl dump; 0: all."""
    base_url: str = "https://data.commoncrawl.org/"
    """Where Common Crawl dumps lie."""
    lists: str = ""
    """Folder with URL lists, laid out and named as datatrove's; empty: those of the installed datatrove."""
    language_model: str = ""
    """Path of a fastText language model; empty: lid.176.ftz, which is installed with Winnow."""
    extraction_model: str = ""
    """Path of an extraction model, as the flow `extractor` makes them; empty: the one that is installed with Winnow."""
    token_counter: str = ""
    """Path of a tokenizer.json whose tokens are counted in the corpus; empty: token_count stays null."""
    without: list[Filter] = []
    """Filters that are left out. Language and near-duplicates are told all the same, but nothing is dropped for them."""

    records: RecordsConfig = RecordsConfig()
    blocklists: BlocklistsConfig = BlocklistsConfig()
    url: UrlConfig = UrlConfig()
    extract: ExtractConfig = ExtractConfig()
    language: LanguageConfig = LanguageConfig()
    gopher_repetition: GopherRepetitionConfig = GopherRepetitionConfig()
    gopher_quality: GopherQualityConfig = GopherQualityConfig()
    c4: C4Config = C4Config()
    fineweb: FineWebConfig = FineWebConfig()
    signatures: SignatureConfig = SignatureConfig()
    clusters: ClustersConfig = ClustersConfig()
    dedup: DedupConfig = DedupConfig()
    pii: PiiConfig = PiiConfig()
    corpus: CorpusConfig = CorpusConfig()


class CorpusParameters(Mechanics, CorpusSettings):
    """Which crawl to read, the settings of every step, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    sources: list[str] = flow_run.parameters["parameters"].sources
    return f"corpus of {sources[0]}" + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")


@flow(name="corpus", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def corpus(parameters: CorpusParameters) -> dict[str, Any]:
    """Crawl files to a FineWeb-grade corpus in Parquet; every step an artifact that can be looked into."""
    chosen = effective(parameters, parameters.profile)
    with open_run("corpus", chosen.model_dump(mode="json"), chosen) as run:
        make_corpus(run, chosen)
        return run.summary()


def make_corpus(run: Run, p: CorpusSettings) -> Dataset:
    """The steps, in the order of the paper."""
    corpus = filtered(run, p, extracted(run, p))
    steps = funnel(list(run.made.values()))
    publish(steps, run.record.id)
    show(steps, run.bar.console)
    return corpus


def extracted(run: Run, p: CorpusSettings) -> Dataset:
    """From crawl files to the main text of every page whose address is allowed."""
    files, crawl = crawl_files(run, p.sources, p.files, p.base_url)
    installed = list_files()
    listed = Input(Path(p.lists) if p.lists else installed[0].parent, tuple(file.name for file in installed))
    lists = run.stage(BLOCKLISTS, p.blocklists, lists=listed)
    records = run.stage(RECORDS, p.records, files, crawl=crawl)
    tell_damage(run, records)
    pages = run.stage(URL, p.url, records, lists=lists)
    compile_once(run, p.extract)
    extraction_model = Path(p.extraction_model) if p.extraction_model else SHIPPED
    return run.stage(EXTRACT, p.extract, pages, crawl=crawl, model=extraction_model)


def filtered(run: Run, p: CorpusSettings, texts: Dataset, suffix: str = "") -> Dataset:
    """From texts to the corpus. `suffix`: of the steps' names, where a run makes several corpora."""

    def step(stage: Stage, config: Config, docs: Dataset | None, **given: Given) -> Dataset:
        return run.stage(stage, config, docs, given, label=stage.name + suffix)

    left_out = set(p.without)
    model = Path(p.language_model) if p.language_model else default_model()
    language = p.language.model_copy(update={"languages": (), "min_score": 0.0}) if "language" in left_out else p.language
    texts = step(LANGUAGE, language, texts, model=model)
    filters: list[tuple[Filter, Stage, Config]] = [
        ("gopher_repetition", GOPHER_REPETITION, p.gopher_repetition),
        ("gopher_quality", GOPHER_QUALITY, p.gopher_quality),
        ("c4", C4, p.c4),
        ("fineweb", FINEWEB, p.fineweb),
    ]
    for name, stage, config in filters:
        if name not in left_out:
            texts = step(stage, config, texts)
    signatures = step(SIGNATURES, p.signatures, texts)
    clusters = step(CLUSTERS, p.clusters, None, signatures=signatures)
    dedup = p.dedup.model_copy(update={"drop": False}) if "dedup" in left_out else p.dedup
    texts = step(DEDUP, dedup, texts, removed=clusters)
    if "pii" not in left_out:
        texts = step(PII, p.pii, texts)
    return step(CORPUS, p.corpus, texts, **({"tokenizer": Path(p.token_counter)} if p.token_counter else {}))


def compile_once(run: Run, config: ExtractConfig) -> None:
    """The extractor's machine code, before many workers want it at once."""
    if config.method == "winnow" and not is_compiled():
        run.bar.say(f"Compiling the extractor, once, into {FOLDER}: half a minute")
        compile_all()
