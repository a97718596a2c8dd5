"""From an assistant of the simulated world to an aligned one that reasons: manners by preferences, sums by rewards. Used by the demo.

The assistant first learns all manners, good and bad, from conversations that people might have written. What people want it then learns
from comparisons: by DPO, whose model goes on, and by PPO against a reward model, beside it. Then GRPO teaches it to work out longer sums from
answers that are checked, with rejection sampling beside it. The three models of manners meet in the arena, judged by the rubric.
"""

from collections.abc import Mapping
from typing import TypeVar

from flows.align import like, show
from flows.assistant import AssistantSettings
from flows.identity import Dataset, Given
from flows.posttrain import make_chat
from flows.pretrain import Base
from flows.run import Run
from stages.alignment.arena import ARENA, ArenaConfig
from stages.alignment.dpo import DPO, DpoConfig
from stages.alignment.evaluate_reasoning import EVALUATE_REASONING, EvaluateReasoningConfig
from stages.alignment.grpo import GRPO, GrpoConfig
from stages.alignment.judge import JUDGE, JudgeConfig
from stages.alignment.manners import MANNERS, MannersConfig
from stages.alignment.ppo import PPO, PpoConfig
from stages.alignment.prefer import PREFER, PreferConfig
from stages.alignment.problems import PROBLEMS, ProblemsConfig
from stages.alignment.prompts import Selection
from stages.alignment.reference_logprobs import REFERENCE_LOGPROBS, ReferenceLogprobsConfig
from stages.alignment.rejection import REJECTION, RejectionConfig
from stages.alignment.render_preferences import RENDER_PREFERENCES, RenderPreferencesConfig
from stages.alignment.reward_model import REWARD_MODEL, RewardModelConfig
from stages.alignment.rollouts import ROLLOUTS, RolloutsConfig
from stages.evaluation.bits_per_byte import BitsPerByteConfig
from stages.evaluation.chat import EVALUATE_CHAT, EvaluateChatConfig
from stages.evaluation.evaluate import EVALUATE_BASE, EvaluateBaseConfig
from stages.evaluation.memorisation import MemorisationConfig
from stages.posttraining.sft import SftConfig
from stages.stage import Config, Stage

LONGER = {"steps": 80, "matrix_rate": 0.003, "rate": 0.0003, "embedding_rate": 0.0003}
"""What is different about GRPO where it practises for longer."""
ALIGNED_MOMENTS = ("base", "chat", "sft", "dpo", "ppo", "rejection", "grpo")
"""Before; with all manners; after DPO; beside it PPO; after DPO the two ways to reason."""
ON_TEXT = EvaluateBaseConfig(bits_per_byte=BitsPerByteConfig(training_documents=1), memorisation=MemorisationConfig(pages=1))
"""Held-out bits per byte; of what else is measured without a crawl as little as there may be."""
Seeded = TypeVar("Seeded", bound=Config)
ASKED = Selection(split="train", kinds=("fact", "unknown"))
"""What is asked for preferences, and by PPO: where manners matter."""


class AlignmentSettings(AssistantSettings):
    """From an assistant to an aligned one that reasons: the settings of every step."""

    manners: MannersConfig = MannersConfig(
        polite=0.25,
        rude=0.2,
        long=0.2,
        careless=0.1,
        keep={"unknown": 0.5, "multi_turn": 0.5, "arithmetic": 0.25, "python": 0.25, "search": 0.1, "repeat": 0.25},
    )
    """Facts above all: where most questions are about nobody, whoever learns what is preferred learns to refuse."""
    sft_manners: SftConfig = SftConfig(
        steps=115,
        rows=8,
        matrix_rate=0.006,
        rate=0.0005,
        embedding_rate=0.0005,
        replay_rows=2,
        replay_weight=2.0,
        prompts=("Where does Mira live?",),
        validation_every=0,
        samples_every=0,
    )
    """Short and slow: the model knows all of it, and learns to say it in every manner; at higher rates it forgets how to reckon. Text that is
    replayed weighs much: with .3 a byte cost .254 bits, not .244, and no answer was better for it."""
    rollouts: RolloutsConfig = RolloutsConfig(select=ASKED.model_copy(update={"count": 1700}), samples=4, rows=256)
    judge: JudgeConfig = JudgeConfig()
    prefer: PreferConfig = PreferConfig()
    render_preferences: RenderPreferencesConfig = RenderPreferencesConfig(row_length=256)
    reward_model: RewardModelConfig = RewardModelConfig(
        epochs=4.5, optimizer="muon", matrix_rate=0.015, rate=1e-3, embedding_rate=1e-3, validation_every=0
    )
    """Long enough to tell what is true and who exists: for two epochs it hears manners alone."""
    reference_logprobs: ReferenceLogprobsConfig = ReferenceLogprobsConfig()
    dpo: DpoConfig = DpoConfig(steps=70, chosen_nll=1.0)
    ppo: PpoConfig = PpoConfig(select=ASKED, steps=70, kl_weight=0.25)
    arena: ArenaConfig = ArenaConfig()
    problems: ProblemsConfig = ProblemsConfig(steps=(6, 8), train=1500)
    """Chains of a length that fine-tuning never showed, and of one that it rarely did."""
    grpo: GrpoConfig = GrpoConfig(steps=30, prompts=32, at_once=256, matrix_rate=0.005, rate=0.0005, embedding_rate=0.0005)
    longer: bool = False
    """GRPO practises three times as long, more slowly, whatever `grpo` says of either."""
    rejection: RejectionConfig = RejectionConfig(steps=10, at_once=256)
    evaluate_reasoning: EvaluateReasoningConfig = EvaluateReasoningConfig(questions=200, samples=1, rows=256)
    evaluate_manners: EvaluateChatConfig = EvaluateChatConfig(
        kinds=("fact", "unknown", "arithmetic", "identity"), questions=100, rows=128
    )
    """Of the models on the way: what manners may cost."""
    evaluate_aligned: EvaluateChatConfig = EvaluateChatConfig(questions=100, rows=128)
    """Of the last model."""


def make_aligned(
    run: Run, p: AlignmentSettings, made: Mapping[str, Dataset], crawl: Dataset, base: Base, seed: int = 0
) -> tuple[dict[str, Dataset], dict[str, Dataset]]:
    """The steps, from what `make_assistant` made; on the text of `base` is measured what alignment cost; `seed` is added to every seed.
    Back: evaluations under `moment/what`, and the models by their names, "arena", and under "model" the aligned one."""
    compute = p.compute.shared(2).given()  # two ways at a time, once the model has all manners
    conversations = made["conversations"]
    scores: dict[str, Dataset] = {"chat/chat": made["chat"]}

    def score(what: str, moment: str, stage: Stage, config: Config, **given: Given) -> None:
        asked: dict[str, Given] = {"compute": compute, **given}
        scores[f"{moment}/{what}"] = run.stage(stage, config, None, asked, label=f"{stage.name}_{moment}")

    def writes(moment: str, model: Dataset) -> None:
        score("text", moment, EVALUATE_BASE, ON_TEXT, model=model, text=base.text, tokens=base.tokens)

    def reasons(moment: str, model: Dataset) -> None:
        score("reasoning", moment, EVALUATE_REASONING, p.evaluate_reasoning, model=model, prompts=problems)

    def chats(moment: str, model: Dataset, config: EvaluateChatConfig) -> None:
        score("chat", moment, EVALUATE_CHAT, config, model=model, conversations=conversations, crawl=crawl)

    manners = run.stage(MANNERS, p.manners, conversations=conversations)
    taught = p.model_copy(update={"sft": again(p.sft_manners, seed)})
    policy = make_chat(run, taught, made["model"], {"manners": manners}, base.packed, label="manners")
    problems = run.stage(PROBLEMS, p.problems, crawl=crawl)

    def before() -> None:
        writes("base", base.model)
        for moment, model in (("chat", made["model"]), ("sft", policy)):
            writes(moment, model)
            reasons(moment, model)
        chats("sft", policy, p.evaluate_manners)

    first = run.beside(before)
    answers = run.stage(ROLLOUTS, again(p.rollouts, seed), model=policy, prompts=manners, compute=compute)
    scored = run.stage(JUDGE, p.judge, answers, crawl=crawl, tokenizer=policy)
    pairs = run.stage(PREFER, p.prefer, scored=scored, tokenizer=policy)
    rendered = run.stage(RENDER_PREFERENCES, p.render_preferences, pairs, tokenizer=policy)
    learns: dict[str, Given] = {"preferences": rendered, "model": policy, "compute": compute}

    def by_reward_model() -> tuple[Dataset, Dataset]:
        reward = run.stage(REWARD_MODEL, again(p.reward_model, seed), None, learns)
        show(run, reward, f"reward-model{run.suffix}", "How well the reward model tells better answers")
        asks: dict[str, Given] = {"prompts": manners, "crawl": crawl, "compute": compute}
        return reward, run.stage(PPO, again(p.ppo, seed), None, asks, model=policy, reward_model=reward)

    reinforced = run.beside(by_reward_model)
    reference = run.stage(REFERENCE_LOGPROBS, like(p.reference_logprobs, p.dpo), None, learns)
    dpo = run.stage(DPO, again(p.dpo, seed), None, {**learns, "reference": reference})

    def preferred() -> tuple[Dataset, Dataset, Dataset]:
        reward, ppo = reinforced.result()
        writes("ppo", ppo)
        chats("ppo", ppo, p.evaluate_manners)
        fighters: dict[str, Given] = {"sft": policy, "dpo": dpo, "ppo": ppo}
        arena = run.stage(ARENA, again(p.arena, seed), None, fighters, prompts=conversations, crawl=crawl, compute=compute)
        show(run, arena, f"arena{run.suffix}", "Who wins against whom, by the rubric")
        return reward, ppo, arena

    compared = run.beside(preferred)
    practises: dict[str, Given] = {"model": dpo, "prompts": problems, "compute": compute}
    practice = p.grpo.model_copy(update=LONGER) if p.longer else p.grpo
    grpo = run.stage(GRPO, again(practice, seed), None, practises)
    answered = run.beside(lambda: chats("grpo", grpo, p.evaluate_aligned))
    rejection = run.stage(REJECTION, again(p.rejection, seed), None, practises)
    for moment, model in (("rejection", rejection), ("grpo", grpo), ("dpo", dpo)):
        writes(moment, model)
        reasons(moment, model)
    chats("dpo", dpo, p.evaluate_manners)
    reward, ppo, arena = compared.result()
    first.result()
    answered.result()
    models: dict[str, Dataset] = {
        "sft": policy,
        "dpo": dpo,
        "ppo": ppo,
        "rejection": rejection,
        "grpo": grpo,
        "arena": arena,
        "reward_model": reward,
        "model": grpo,
    }
    in_order = sorted(scores, key=lambda name: (ALIGNED_MOMENTS.index(name.partition("/")[0]), name))  # not by who ended first
    return {name: scores[name] for name in in_order}, models


def reached(scores: Mapping[str, Dataset], made: Mapping[str, Dataset]) -> dict[str, float]:
    """What preferences and rewards taught, of what `make_aligned` gave back: figures for the floors of the demo."""
    arena = made["arena"].snapshot.stats
    before, after = (scores[f"{name}/reasoning"].snapshot.stats["all pass@1"] for name in ("dpo", "grpo"))
    return {
        "reward accuracy": made["reward_model"].snapshot.stats["accuracy"],
        "ppo gain": arena["ppo score"] - arena["sft score"],
        "ppo divergence": made["ppo"].snapshot.stats["divergence"],
        "dpo won": arena["dpo over sft won"],
        "grpo gain": after - before,
    }


def again(config: Seeded, seed: int) -> Seeded:
    """With the seed of another round."""
    return config.model_copy(update={"seed": config.seed + seed})  # type: ignore[attr-defined]
