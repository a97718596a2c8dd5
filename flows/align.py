"""The align flow: from a chat model to one that people prefer, or that reasons: by preferences, a reward model, or answers that are checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import Field
from rich.markup import escape

from flows.identity import Dataset, Given
from flows.notify import on_end
from flows.posttrain import LONGEST, context_of
from flows.pretrain import given_folder
from flows.run import Mechanics, Parameters, Run, open_run
from flows.stored import stored
from flows.watch import artifact_key
from stages.alignment.dpo import DPO, DpoConfig
from stages.alignment.evaluate_reasoning import EVALUATE_REASONING, EvaluateReasoningConfig
from stages.alignment.grpo import GRPO, GrpoConfig
from stages.alignment.import_preferences import IMPORT_PREFERENCES, ImportPreferencesConfig
from stages.alignment.ppo import PPO, PpoConfig
from stages.alignment.problems import PROBLEMS, SPLITS, ProblemsConfig
from stages.alignment.reference_logprobs import REFERENCE_LOGPROBS, ReferenceLogprobsConfig
from stages.alignment.rejection import REJECTION, RejectionConfig
from stages.alignment.render_preferences import LEAST, RENDER_PREFERENCES, RenderPreferencesConfig
from stages.alignment.reward_model import REWARD_MODEL, RewardModelConfig
from stages.compute import Compute
from stages.evaluation.scorecard import SCORECARD, ScorecardConfig
from stages.posttraining.files import is_readable
from stages.posttraining.import_conversations import IMPORT_CONVERSATIONS, ImportConversationsConfig
from stages.stage import Input
from storage.problem import Problem


class AlignSettings(Parameters):
    """Which model to align, by what, and the settings of every step."""

    model: str = "sft@latest"
    """Artifact or Hugging Face folder of a model that chats, with its tokenizer."""
    method: Literal["dpo", "reward_model", "ppo", "grpo", "rejection"] = "dpo"
    """dpo (or ipo, by dpo.loss) learns from preferences, reward_model learns to score by them, ppo learns from what that one scores, grpo and
    rejection learn from answers that are checked."""
    preferences: str = "import_preferences@latest"
    """Of dpo and reward_model: a file or folder of comparisons (HH, DPO or ranking rows: .json, .jsonl, .parquet), or an artifact."""
    scores: str = "reward_model@latest"
    """Of ppo: artifact of the reward model."""
    prompts: str = "import_conversations@latest"
    """Of ppo: what is asked, as far as the user's last turn: a file or folder of conversations (.json, .jsonl, .parquet), or an artifact."""
    problems: str = ""
    """Of grpo and rejection: a file or folder of problems as GSM8K has them, or an artifact; empty: sums of graded difficulty, made anew."""
    row_length: int = Field(default=0, ge=0, le=1 << 20)
    """Longest tokens of a prompt with its answer, in `render_preferences`; 0: the model's context, 1,024 at most."""
    import_preferences: ImportPreferencesConfig = ImportPreferencesConfig()
    reference_logprobs: ReferenceLogprobsConfig = ReferenceLogprobsConfig()
    dpo: DpoConfig = DpoConfig()
    reward_model: RewardModelConfig = RewardModelConfig()
    import_conversations: ImportConversationsConfig = ImportConversationsConfig(answered=False)
    ppo: PpoConfig = PpoConfig()
    make_problems: ProblemsConfig = ProblemsConfig()
    grpo: GrpoConfig = GrpoConfig()
    rejection: RejectionConfig = RejectionConfig()
    evaluate_reasoning: EvaluateReasoningConfig = EvaluateReasoningConfig()
    compute: Compute = Compute()


class AlignParameters(Mechanics, AlignSettings):
    """Which model to align, by what, the settings of every step, and where it runs."""


def run_name() -> str:
    """What the run does, for lists of runs."""
    p: AlignParameters = flow_run.parameters["parameters"]
    return f"align {p.model} by {p.method}"


@flow(name="align", flow_run_name=run_name, persist_result=False, on_failure=[on_end], on_crashed=[on_end])
def align(parameters: AlignParameters) -> dict[str, Any]:
    """A chat model to an aligned one, with its curves, and what it can do before and after."""
    p = parameters
    with open_run("align", p.model_dump(mode="json"), p) as run:
        model = given_folder(run.store, p.model)
        if p.method in ("grpo", "rejection"):
            made = by_problems(run, p, model, problems(run, p))
        elif p.method == "ppo":
            made = by_scores(run, p, model)
        else:
            made = by_preferences(run, p, model, preferences(run, p))
        option = "" if p.store == Mechanics().store else f" --store {escape(p.store)}"
        run.bar.console.print(
            f"The model: {escape(run.store.full(made.snapshot.folder))}"
            + ("" if p.method == "reward_model" else f"\nTalk to it: winnow chat {made.snapshot.reference}{option}"),
            soft_wrap=True,
            highlight=False,
        )
        return run.summary()


def preferences(run: Run, p: AlignSettings) -> Dataset:
    return _given(run, p.preferences, "preferences") or run.stage(
        IMPORT_PREFERENCES, p.import_preferences, files=_files(p.preferences)
    )


def problems(run: Run, p: AlignSettings) -> Dataset:
    if not p.problems:
        return run.stage(PROBLEMS, p.make_problems)
    if given := _given(run, p.problems, "problems"):
        return given
    made = run.stage(PROBLEMS, p.make_problems, files=_files(p.problems))
    for split in SPLITS:
        if not made.snapshot.stats[split]:
            raise Problem(
                f"problems: {p.problems} has none for {split}; expected both: files whose names hold train and test, or rows enough that "
                "one in eight can be kept for tests"
            )
    return made


def _given(run: Run, text: str, what: str) -> Dataset | None:
    """The artifact that a person calls `text`; None where it is a file or folder."""
    path = Path(text)
    if (path.is_file() or path.is_dir()) and not (path / "recipe.json").is_file():
        return None
    if is_readable(text):
        raise Problem(f"{what}: there is no file {text}; expected {what} in it, or the name of an artifact")
    return _stored(run, text, what)


def _stored(run: Run, text: str, what: str) -> Dataset:
    """The artifact that the parameter `what` names, which may never have been given."""
    try:
        return stored(run.store, text)
    except Problem as problem:
        raise Problem(
            f"the parameter {what} is missing or wrong: {problem}\n{what}: {AlignSettings.model_fields[what].description}"
        ) from None


def _files(text: str) -> Given:
    path = Path(text)
    return Input(path.parent, (path.name,)) if path.is_file() else path  # the name is part of what comes out


def by_preferences(run: Run, p: AlignSettings, model: Given, pairs: Dataset) -> Dataset:
    """The steps from preferences on."""
    compute = p.compute.given()
    length = p.row_length or min(context_of(run.store, model), LONGEST)
    if length < LEAST:
        raise Problem(f"row_length is {length}; expected {LEAST} tokens or more, or 0 for the model's context")
    rendered = run.stage(RENDER_PREFERENCES, RenderPreferencesConfig(row_length=length), pairs, tokenizer=model)
    if not rendered.snapshot.kept:
        raise Problem(
            f"no pair is left to learn from: {rendered.snapshot.rows:,} were dropped, as `winnow show {rendered.snapshot.reference}` shows; a row has {length} tokens (row_length)"
        )
    if p.method == "reward_model":
        scores = run.stage(REWARD_MODEL, p.reward_model, preferences=rendered, model=model, compute=compute)
        show(run, scores, "reward-model", "How well the reward model tells better answers")
        return scores
    learns: dict[str, Given] = {"preferences": rendered, "model": model, "compute": compute}
    reference = run.stage(REFERENCE_LOGPROBS, like(p.reference_logprobs, p.dpo), None, learns)
    made = run.stage(DPO, p.dpo, None, learns, reference=reference)
    tell(run, made, ("validation_accuracy", "validation_margin", "kl"))
    return made


def like(reference: ReferenceLogprobsConfig, training: DpoConfig) -> ReferenceLogprobsConfig:
    """In the training's mathematics where nothing else is said: only so is the model at its first step its own reference."""
    return reference.model_copy(update={"dtype": reference.dtype or training.dtype})


def by_scores(run: Run, p: AlignSettings, model: Given) -> Dataset:
    """PPO against a reward model, on prompts."""
    asked = _given(run, p.prompts, "prompts") or run.stage(IMPORT_CONVERSATIONS, p.import_conversations, files=_files(p.prompts))
    scores = _stored(run, p.scores, "scores")
    made = run.stage(PPO, p.ppo, model=model, reward_model=scores, prompts=asked, compute=p.compute.given())
    tell(run, made, ("reward_first", "reward_last", "divergence", "length", "finished"))
    return made


def by_problems(run: Run, p: AlignSettings, model: Given, asked: Dataset) -> Dataset:
    """The steps from problems on, with what the model solves before and after."""
    compute = p.compute.given()

    def solved(policy: Given, label: str) -> Dataset:
        return run.stage(EVALUATE_REASONING, p.evaluate_reasoning, label=label, model=policy, prompts=asked, compute=compute)

    before = solved(model, f"{EVALUATE_REASONING.name}_before")
    if not any(value for name, value in before.snapshot.stats.items() if "pass@" in name):
        run.bar.say(
            "The model solves none of the problems: there is no right answer to learn from. Give easier ones, or a better model."
        )
    practises: dict[str, Given] = {"model": model, "prompts": asked, "compute": compute}
    made = run.stage(GRPO, p.grpo, None, practises) if p.method == "grpo" else run.stage(REJECTION, p.rejection, None, practises)
    scores: dict[str, Given] = {"before/0": before, "after/0": solved(made, EVALUATE_REASONING.name)}
    card = run.stage(SCORECARD, ScorecardConfig(moments=("before", "after")), None, scores)
    show(run, card, "reasoning", "What it solves before and after")
    return made


def tell(run: Run, made: Dataset, names: Sequence[str]) -> None:
    """Figures of a training, in the terminal."""
    stats = made.snapshot.stats
    told = ", ".join(f"{name.replace('_', ' ')} {stats[name]:.3g}" for name in names if name in stats)
    run.bar.console.print(f"{made.snapshot.stage}: {told}", soft_wrap=True, highlight=False)


def show(run: Run, made: Dataset, key: str, description: str, file: str = "report.md") -> None:
    """An artifact's report, in the terminal and in Prefect."""
    report = run.store.read(f"{made.snapshot.folder}/{file}").decode("utf-8")
    create_markdown_artifact(markdown=report, key=artifact_key(key), description=description)
    run.bar.console.print(report, markup=False, soft_wrap=True)
