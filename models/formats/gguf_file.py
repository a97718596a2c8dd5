"""A GGUF file: one file with weights, tokenizer and chat template, which llama.cpp, Ollama and LM Studio run.

In: a model, its tokenizer and a file type; if known, the importance of each column of each matrix, by the tensor's name in the
file (models/quantization/blocks.py). Out: the file. Its bytes are those of llama.cpp's own quantizer run on the F32 file,
`quantize.imatrix.*` apart. gguf_read.py reads it back.

Container: the `gguf` package. Metadata: gguf-py/gguf/constants.py of llama.cpp.

| metadata | |
|---|---|
| general.* | architecture, name, license, file type, quantization version |
| (architecture).* | the shape |
| tokenizer.* | gguf_vocabulary.py; chat_template |
| quantize.imatrix.* | of what the importance was measured, where it was used |
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

from models.formats.gguf_names import architecture_of, held, packed, shapes
from models.formats.gguf_vocabulary import Vocabulary, vocabulary
from models.quantization.blocks import quantize, row_bytes
from models.quantization.mixture import FileType, kinds
from models.tokenizer.tokenizer import Tokenizer
from models.transformer.lora import adapted
from models.transformer.shape import Shape
from models.transformer.transformer import Transformer
from models.unusable import Unusable

Importance = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class About:
    """What the file says of itself."""

    name: str
    license: str = ""
    template: str = ""
    """Of chats, in Jinja."""
    calibration: str = ""
    """What the importance was measured on."""


def write_gguf(
    path: Path, model: Transformer, tokenizer: Tokenizer, file_type: FileType, about: About, importance: Importance | None = None
) -> None:
    """The same inputs give the same bytes. Raises Unusable for a shape or tokenizer that llama.cpp would take for another."""
    if any(True for _ in adapted(model)):
        raise Unusable("the model has adapters, for which a GGUF file of a model has no place; merge them first")
    shape = model.shape
    sizes = shapes(shape)
    chosen = kinds(sizes, file_type, shape.experts.count if shape.experts else 0, importance is not None)
    unfinished = path.with_name(f".{path.name}")
    writer = gguf.GGUFWriter(unfinished, architecture_of(shape))
    _write_shape(writer, shape, about)
    _write_vocabulary(writer, vocabulary(tokenizer, shape.vocab), about)
    if importance is not None:
        writer.add_string("quantize.imatrix.dataset", about.calibration)
        writer.add_uint32("quantize.imatrix.entries_count", len(importance))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)  # these two last, as llama.cpp's quantizer puts them
    writer.add_file_type(number(file_type))
    for one in held(shape):
        kind = chosen[one.name]
        *rows, columns = sizes[one.name]
        size = row_bytes(kind, columns)
        writer.add_tensor_info(
            one.name, (*rows, size), np.dtype(np.uint8), int(np.prod(rows)) * size, gguf.GGMLQuantizationType[kind]
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    state = model.state_dict()
    for one in held(shape):
        mine = None if importance is None else importance.get(one.name)
        try:
            writer.write_tensor_data(quantize(packed(one, state, shape), chosen[one.name], mine))
        except Unusable as error:
            raise Unusable(f"{one.name}: {error}") from None
    writer.close()
    os.replace(unfinished, path)


def number(file_type: FileType) -> int:
    """Of a file type in a file's metadata."""
    return int(gguf.LlamaFileType["ALL_F32" if file_type == "F32" else f"MOSTLY_{file_type}"])


def _write_shape(writer: Any, shape: Shape, about: About) -> None:
    writer.add_type("model")
    writer.add_name(about.name)
    if about.license:
        writer.add_license(about.license)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_vocab_size(shape.vocab)
    if shape.family == "gpt2":
        writer.add_layer_norm_eps(shape.eps)
        return
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.theta)
    if shape.experts is not None:
        writer.add_expert_count(shape.experts.count)
        writer.add_expert_used_count(shape.experts.active)
        writer.add_expert_feed_forward_length(shape.experts.hidden)


def _write_vocabulary(writer: Any, words: Vocabulary, about: About) -> None:
    writer.add_tokenizer_model(words.model)
    writer.add_tokenizer_pre(words.pre)
    writer.add_token_list(words.tokens)
    writer.add_token_types(words.types)
    if words.scores:
        writer.add_token_scores(words.scores)
    if words.merges:
        writer.add_token_merges(words.merges)
    if words.bos is not None:
        writer.add_bos_token_id(words.bos)
    named = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
    if len(words.stops) > len(named):
        raise Unusable(
            f"{len(words.stops)} tokens end what is generated; a GGUF file can name {len(named)}: leave some out of eos_token_id"
        )
    for add, stop in zip(named, words.stops, strict=False):
        add(stop)
    if words.unknown is not None:
        writer.add_unk_token_id(words.unknown)
    writer.add_pad_token_id(words.pad)
    writer.add_add_bos_token(words.add_bos)
    writer.add_add_eos_token(False)
    if words.add_space_prefix is not None:
        writer.add_add_space_prefix(words.add_space_prefix)
    if about.template:
        writer.add_chat_template(about.template)
