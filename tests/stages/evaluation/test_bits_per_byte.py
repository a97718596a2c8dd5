import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from models.tokenizer.tokenizer import Tokenizer
from models.transformer.transformer import Transformer
from stages.evaluation.bits_per_byte import POSITIONS, ROWS, BitsPerByteConfig, bits_per_byte, windows
from stages.evaluation.documents import Document
from storage.problem import Problem
from tests.stages.evaluation.country import Country


@pytest.mark.parametrize("length", [2, 3, 8, 9, 10, 17, 30, 100])
@pytest.mark.parametrize("stride", [1, 3, 4, 8])
def test_windows_predict_every_token_once_with_as_much_before_it_as_promised(length: int, stride: int) -> None:
    T, ids = 8, list(range(1000, 1000 + length))
    cut = windows(ids, T, stride)
    assert [token for one in cut for token in one.continuation] == ids[1:]
    for number, one in enumerate(cut):
        both = [*one.context, *one.continuation]
        assert both == list(range(both[0], both[0] + len(both)))
        assert len(both) <= T + 1
        if number:
            assert len(one.continuation) <= stride
            assert len(both) == T + 1
    assert all(len(one.continuation) == stride for one in cut[1:-1])


def test_bits_per_byte_are_the_texts_own_log_likelihood_over_its_bytes(learnt: Transformer, tokenizer: Tokenizer) -> None:
    """One document that fits, by hand: the first token predicted from the document's beginning, its end not counted."""
    text = "Zürich is a town. Who lives in it?"
    ids = torch.tensor([tokenizer.start or 0, *tokenizer.encode(text)])
    with torch.no_grad():
        nll = float(F.cross_entropy(learnt(ids[None, :-1])[0], ids[1:], reduction="sum"))
    result = bits_per_byte(learnt, tokenizer, [Document("z", text)], None, BitsPerByteConfig())
    values = {one.metric: one.value for one in result.measures}
    assert len(text.encode()) == len(text) + 1
    assert values["bits_per_byte"] == pytest.approx(nll / (math.log(2) * (len(text) + 1)), abs=1e-5)
    assert values["perplexity"] == pytest.approx(math.exp(nll / (len(ids) - 1)), rel=1e-4)
    assert values["bytes_per_token"] == pytest.approx((len(text) + 1) / (len(ids) - 1))


def test_an_untrained_model_needs_the_bits_of_its_vocabulary(fresh: Transformer, tokenizer: Tokenizer) -> None:
    text = "Here is something. " * 30
    result = bits_per_byte(fresh, tokenizer, [Document("a", text)], None, BitsPerByteConfig())
    tokens = len(tokenizer.encode(text))
    assert result.measures[0].value == pytest.approx(tokens * math.log2(tokenizer.size) / len(text), rel=0.02)


def test_documents_count_by_their_bytes_and_training_pages_are_told_apart(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    unread = [Document(name, text) for name, text in country.unread.items()]
    read = [Document(name, text) for name, text in country.pages.items()]
    result = bits_per_byte(learnt, tokenizer, unread, read, BitsPerByteConfig())
    table = result.tables["held_out"]
    assert dict(table.schema) == ROWS
    assert table["set"].to_list() == ["held_out"] * len(unread) + ["training"] * len(read)
    held_out = table.head(len(unread))
    measures = {(one.part, one.metric): one for one in result.measures}
    expected = -held_out["logprob"].sum() / math.log(2) / held_out["bytes"].sum()
    assert measures["held_out", "bits_per_byte"].value == pytest.approx(expected)
    assert measures["held_out", "bits_per_byte"].n == len(unread)
    assert measures["training", "bits_per_byte"].value < 0.5 < measures["held_out", "bits_per_byte"].value
    gap = measures["held_out - training", "bits_per_byte"]
    assert gap.value == pytest.approx(measures["held_out", "bits_per_byte"].value - measures["training", "bits_per_byte"].value)
    assert gap.low > 0


def test_overlapping_windows_read_long_documents_better_than_windows_that_begin_anew(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    long = [Document("all", " ".join(country.pages.values()))]
    few = [bits_per_byte(learnt, tokenizer, long, None, BitsPerByteConfig(stride=stride)) for stride in (96, 48, 8)]
    assert [one.measures[0].n for one in few] == [1, 1, 1]
    windows_ = [one.tables["held_out"]["windows"][0] for one in few]
    assert windows_ == sorted(windows_)
    assert "windows of 96 tokens, stride 48" in few[1].measures[0].note
    assert len({one.tables["held_out"]["tokens"][0] for one in few}) == 1
    default = bits_per_byte(learnt, tokenizer, long, None, BitsPerByteConfig())
    assert default.measures[0].value == few[1].measures[0].value


def test_the_loss_by_position_covers_every_token_of_the_first_windows(
    learnt: Transformer, tokenizer: Tokenizer, country: Country
) -> None:
    documents = [Document(name, text * 4) for name, text in country.pages.items()]
    result = bits_per_byte(learnt, tokenizer, documents, None, BitsPerByteConfig())
    positions = result.tables["loss_by_position"]
    assert dict(positions.schema) == POSITIONS
    assert positions["first"].to_list() == [1, 2, 3, 5, 9, 17, 33, 65]
    assert positions["last"].to_list() == [1, 2, 4, 8, 16, 32, 64, 96]
    assert all(next_ == last + 1 for (_, last), (next_, _) in pairwise(positions.select("first", "last").iter_rows()))
    assert positions["tokens"].sum() == sum(min(96, tokens) for tokens in result.tables["held_out"]["tokens"])


def test_of_a_long_document_only_its_beginning_is_read(learnt: Transformer, tokenizer: Tokenizer) -> None:
    table = bits_per_byte(learnt, tokenizer, [Document("a", "ä" * 500)], None, BitsPerByteConfig(characters=100)).tables[
        "held_out"
    ]
    assert table["bytes"].to_list() == [200]


def test_a_stride_that_would_leave_tokens_out_is_refused(learnt: Transformer, tokenizer: Tokenizer) -> None:
    with pytest.raises(Problem, match="a stride of 97 tokens, and the model's context is 96"):
        bits_per_byte(learnt, tokenizer, [Document("a", "b")], None, BitsPerByteConfig(stride=97))
