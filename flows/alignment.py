"""From an assistant of the simulated world to an aligned one that reasons: manners by preferences, sums by rewards. Used by the demo.

The assistant first learns all manners, good and bad, from conversations that people might have written. What people want it then learns
from comparisons: by DPO, whose model goes on, and by PPO against a reward model, beside it. Then GRPO teaches it to work out longer sums from
answers that are checked, with rejection sampling beside it. The three models of manners meet in the arena, judged by the rubric.
"""

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from flows.align import show
from flows.assistant import AssistantSettings
from flows.identity import Dataset, Given
from flows.posttrain import make_chat
from flows.pretrain import Base
from flows.run import Beside, Run
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
        steps=250,
        rows=4,
        dtype="fp32",
        matrix_rate=0.005,
        rate=0.0004,
        embedding_rate=0.0004,
        replay_rows=1,
        replay_weight=0.3,
        prompts=("Where does Mira live?",),
        validation_every=0,
        samples_every=0,
    )
    """Short and slow: the model knows all of it, and learns to say it in every manner; at higher rates it forgets how to reckon."""
    rollouts: RolloutsConfig = RolloutsConfig(select=ASKED.model_copy(update={"count": 2000}), samples=4)
    judge: JudgeConfig = JudgeConfig()
    prefer: PreferConfig = PreferConfig()
    render_preferences: RenderPreferencesConfig = RenderPreferencesConfig(row_length=256)
    reward_model: RewardModelConfig = RewardModelConfig(epochs=3.0, rate=1e-3, embedding_rate=1e-3)
    reference_logprobs: ReferenceLogprobsConfig = ReferenceLogprobsConfig(dtype="fp32")
    dpo: DpoConfig = DpoConfig(steps=100, chosen_nll=1.0, dtype="fp32")
    ppo: PpoConfig = PpoConfig(select=ASKED, steps=100, kl_weight=0.25)
    arena: ArenaConfig = ArenaConfig()
    problems: ProblemsConfig = ProblemsConfig(steps=(6, 8), train=1500)
    """Chains of a length that fine-tuning never showed, and of one that it rarely did."""
    grpo: GrpoConfig = GrpoConfig(steps=30, prompts=32, matrix_rate=0.005, rate=0.0005, embedding_rate=0.0005)
    longer: bool = False
    """GRPO practises nearly three times as long, more slowly, whatever `grpo` says of either."""
    rejection: RejectionConfig = RejectionConfig(steps=20)
    evaluate_reasoning: EvaluateReasoningConfig = EvaluateReasoningConfig(questions=200, samples=2)
    evaluate_aligned: EvaluateChatConfig = EvaluateChatConfig(questions=100)
    """Of every aligned model: fewer questions."""


def make_aligned(
    run: Run, p: AlignmentSettings, made: Mapping[str, Dataset], crawl: Dataset, base: Base, seed: int = 0
) -> tuple[dict[str, Dataset], dict[str, Dataset]]:
    """The steps, from what `make_assistant` made; on the text of `base` is measured what alignment cost; `seed` is added to every seed.
    Back: evaluations under `moment/what`, and the models by their names, "arena", and under "model" the aligned one."""
    # Two ways at a time: PPO and all measures, and DPO with what follows.
    p = p.model_copy(update={"compute": p.compute.shared(2)})
    compute = p.compute.given()
    conversations = made["conversations"]
    scores: dict[str, Beside[Dataset]] = {}

    def measured(moment: str, model: Dataset, problems: Dataset | None, chats: bool) -> None:
        asked: dict[str, Given] = {"model": model, "compute": compute}

        def score(what: str, stage: Stage, config: Config, more: Mapping[str, Given]) -> None:
            work = partial(run.stage, stage, config, None, {**asked, **more}, label=f"{stage.name}_{moment}")
            scores[f"{moment}/{what}"] = run.beside(work)

        score("text", EVALUATE_BASE, ON_TEXT, {"text": base.text, "tokens": base.tokens})
        if problems is not None:
            score("reasoning", EVALUATE_REASONING, p.evaluate_reasoning, {"prompts": problems})
        if chats:
            score("chat", EVALUATE_CHAT, p.evaluate_aligned, {"conversations": conversations, "crawl": crawl})

    manners = run.stage(MANNERS, p.manners, conversations=conversations)
    policy = make_chat(
        run,
        p.model_copy(update={"sft": again(p.sft_manners, seed)}),
        made["model"],
        {"manners": manners},
        base.packed,
        label="manners",
    )
    problems = run.stage(PROBLEMS, p.problems, crawl=crawl)
    measured("base", base.model, None, chats=False)
    measured("chat", made["model"], problems, chats=False)
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
    measured("sft", policy, problems, chats=True)
    reference = run.stage(REFERENCE_LOGPROBS, p.reference_logprobs, None, learns)
    dpo = run.stage(DPO, again(p.dpo, seed), None, {**learns, "reference": reference})
    measured("dpo", dpo, problems, chats=True)
    practises: dict[str, Given] = {"model": dpo, "prompts": problems, "compute": compute}
    practice = p.grpo.model_copy(update=LONGER) if p.longer else p.grpo
    grpo = run.stage(GRPO, again(practice, seed), None, practises)
    measured("grpo", grpo, problems, chats=True)
    rejection = run.stage(REJECTION, again(p.rejection, seed), None, practises)
    measured("rejection", rejection, problems, chats=False)
    reward, ppo = reinforced.result()
    measured("ppo", ppo, None, chats=True)
    fighters: dict[str, Given] = {"sft": policy, "dpo": dpo, "ppo": ppo}
    arena = run.stage(ARENA, again(p.arena, seed), None, fighters, prompts=conversations, crawl=crawl, compute=compute)
    show(run, arena, f"arena{run.suffix}", "Who wins against whom, by the rubric")
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
    return {name: score.result() for name, score in scores.items()} | {"chat/chat": made["chat"]}, models


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
