"""The corpus flow: from crawl files to a clean Parquet corpus. Penedo et al. 2024, "The FineWeb Datasets" (sections 3.1 to 3.7)."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.crawl import crawl_files, tell_damage
from flows.funnel import funnel, publish, show
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
from stages.stage import Input


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
    tokenizer: str = ""
    """Path of a tokenizer.json whose tokens are counted in the corpus; empty: token_count stays null."""

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
        return make_corpus(run, chosen)


def make_corpus(run: Run, p: CorpusSettings) -> dict[str, Any]:
    """The steps, in the order of the paper. Returns stage -> artifact, as `--json` prints it."""
    files, crawl = crawl_files(run, p.sources, p.files, p.base_url)
    installed = list_files()
    listed = Input(Path(p.lists) if p.lists else installed[0].parent, tuple(file.name for file in installed))
    lists = run.stage(BLOCKLISTS, p.blocklists, lists=listed)
    model = Path(p.language_model) if p.language_model else default_model()

    records = run.stage(RECORDS, p.records, files, crawl=crawl)
    tell_damage(run, records)
    pages = run.stage(URL, p.url, records, lists=lists)
    compile_once(run, p.extract)
    extraction_model = Path(p.extraction_model) if p.extraction_model else SHIPPED
    texts = run.stage(EXTRACT, p.extract, pages, crawl=crawl, model=extraction_model)
    texts = run.stage(LANGUAGE, p.language, texts, model=model)
    texts = run.stage(GOPHER_REPETITION, p.gopher_repetition, texts)
    texts = run.stage(GOPHER_QUALITY, p.gopher_quality, texts)
    texts = run.stage(C4, p.c4, texts)
    texts = run.stage(FINEWEB, p.fineweb, texts)
    signatures = run.stage(SIGNATURES, p.signatures, texts)
    clusters = run.stage(CLUSTERS, p.clusters, signatures=signatures)
    texts = run.stage(DEDUP, p.dedup, texts, removed=clusters)
    texts = run.stage(PII, p.pii, texts)
    run.stage(CORPUS, p.corpus, texts, **({"tokenizer": Path(p.tokenizer)} if p.tokenizer else {}))

    steps = funnel(list(run.made.values()))
    publish(steps, run.record.id)
    show(steps, run.bar.console)
    return run.summary()


def compile_once(run: Run, config: ExtractConfig) -> None:
    """The extractor's machine code, before many workers want it at once."""
    if config.method == "winnow" and not is_compiled():
        run.bar.say(f"Compiling the extractor, once, into {FOLDER}: half a minute")
        compile_all()
