"""From a base model of the simulated world to an assistant: conversations about that world, fine-tuning, what it does not know, measured.

Used by the demo. Two trainings: the first model is asked for every fact (`probe`); of what it does not know it is told to say so
(`admissions`); the second training goes on with both.
"""

from collections.abc import Mapping

from flows.align import show
from flows.identity import Dataset, Given
from flows.posttrain import TuningSettings, make_chat
from flows.pretrain import Base
from flows.run import Run
from stages.evaluation.chat import EVALUATE_CHAT, EvaluateChatConfig
from stages.evaluation.scorecard import SCORECARD, ScorecardConfig
from stages.posttraining.admissions import ADMISSIONS, AdmissionsConfig
from stages.posttraining.probe import PROBE, ProbeConfig
from stages.posttraining.sft import SftConfig
from stages.posttraining.world.conversations import WORLD_CONVERSATIONS
from stages.posttraining.world.settings import WorldConversationsConfig
from stages.retrieval.index import INDEX, IndexConfig
from stages.retrieval.recall import RECALL, RecallConfig

ASIDE = ("training", "held_out - training", "unseen", "training - unseen")
"""What a table of before and after does not show: measures of what was trained on."""
CHAT_MOMENTS = ("base", "first", "chat")
"""Before fine-tuning, after the first training, after the second."""


class AssistantSettings(TuningSettings):
    """From a base model to an assistant that knows what it does not know: the settings of every step."""

    world_conversations: WorldConversationsConfig = WorldConversationsConfig()
    sft_first: SftConfig = SftConfig()
    """The training whose model is probed; `sft` goes on from there."""
    probe: ProbeConfig = ProbeConfig(threshold=0.4)
    """A fact that is right twice in five is on its way: the second training goes on with it."""
    admissions: AdmissionsConfig = AdmissionsConfig()
    evaluate_before: EvaluateChatConfig = EvaluateChatConfig(questions=50, max_tokens=60, rows=128)
    """Of the base model, which does not end its turns: fewer questions."""
    evaluate_first: EvaluateChatConfig = EvaluateChatConfig(questions=100, rows=128)
    """After the first training."""
    evaluate_chat: EvaluateChatConfig = EvaluateChatConfig(rows=128)
    index: IndexConfig = IndexConfig()
    """Of the corpus, for `winnow ask`."""
    recall: RecallConfig = RecallConfig()


def make_assistant(run: Run, p: AssistantSettings, base: Base, crawl: Dataset, seed: int = 0) -> dict[str, Dataset]:
    """The steps; pretraining rows are replayed, so that the model keeps what it knows; `seed` is added to every seed.
    Back: the evaluation of each of CHAT_MOMENTS, the conversations, and under "model" the assistant."""
    compute = p.compute.shared(2).given()
    talk = p.world_conversations.model_copy(update={"seed": p.world_conversations.seed + seed})
    conversations = run.stage(WORLD_CONVERSATIONS, talk, crawl=crawl, tokenizer=base.model)

    def evaluated(moment: str, model: Dataset, config: EvaluateChatConfig) -> Dataset:
        label = EVALUATE_CHAT.name if moment == CHAT_MOMENTS[-1] else f"{EVALUATE_CHAT.name}_{moment}"
        asked: dict[str, Given] = {"conversations": conversations, "crawl": crawl, "compute": compute}
        return run.stage(EVALUATE_CHAT, config, None, asked, label=label, model=model)

    def tuned(config: SftConfig, model: Dataset, chats: Mapping[str, Dataset], label: str) -> Dataset:
        seeded = p.model_copy(update={"sft": config.model_copy(update={"seed": config.seed + seed})})
        return make_chat(run, seeded, model, chats, replay=base.packed, label=label)

    before = run.beside(lambda: evaluated("base", base.model, p.evaluate_before))
    first = tuned(p.sft_first, base.model, {"world": conversations}, "first")
    between = run.beside(lambda: evaluated("first", first, p.evaluate_first))
    knowledge = run.stage(PROBE, p.probe, model=first, crawl=crawl, compute=compute)
    admissions = run.stage(ADMISSIONS, p.admissions, knowledge=knowledge, conversations=conversations)
    model = tuned(p.sft, first, {"world": conversations, "admissions": admissions}, "")
    after = evaluated("chat", model, p.evaluate_chat)
    return {"base": before.result(), "first": between.result(), "chat": after, "conversations": conversations, "model": model}


def make_retrieval(run: Run, p: AssistantSettings, corpus: Dataset, crawl: Dataset) -> Dataset:
    """An index of the corpus, and how often it finds what answers a question."""
    index = run.stage(INDEX, p.index, docs=corpus)
    run.stage(RECALL, p.recall, index=index, crawl=crawl)
    return index


def show_scores(run: Run, evaluations: Mapping[str, Dataset], moments: tuple[str, ...], key: str, description: str) -> Dataset:
    """A table of every measure at every moment; `evaluations` under `moment/seed`."""
    given: dict[str, Given] = dict(evaluations)
    card = run.stage(
        SCORECARD,
        ScorecardConfig(moments=moments, leave_out=ASIDE),
        None,
        given,
        label=f"{SCORECARD.name}_{key.replace('-', '_')}",
    )
    show(run, card, key, description)
    return card
