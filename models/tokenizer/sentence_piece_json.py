"""A sentencepiece BPE model as a tokenizer.json, so that transformers gives the same ids.

Both merge the neighbours whose piece is best; sentencepiece knows only pieces, a tokenizer.json needs each pair: every way to split a piece
into two others is one, in the order of the pieces. They can differ where one piece can be made in two ways that overlap (`aba` from
`ab a` and `a ba` in `ab a ba`), of which sentencepiece takes the left one.
"""

import json
from typing import Any

from tokenizers import Tokenizer


def tokenizer_json(model: Any) -> bytes:
    """`model`: a sentencepiece.SentencePieceProcessor of a BPE with byte fallback, without normalisation and dummy prefix."""
    ids = range(model.get_piece_size())
    vocab = {model.id_to_piece(n): n for n in ids}
    normal = {
        piece: n
        for piece, n in vocab.items()
        if not (model.is_control(n) or model.is_unknown(n) or model.is_byte(n) or model.is_unused(n))
    }
    merges = [
        [piece[:at], piece[at:]]
        for piece in sorted(normal, key=lambda piece: (-model.get_score(normal[piece]), normal[piece]))
        for at in range(1, len(piece))
        if piece[:at] in normal and piece[at:] in normal
    ]
    named = [n for n in ids if model.is_control(n) or model.is_unknown(n)]
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": n,
                "content": model.id_to_piece(n),
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for n in named
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": model.id_to_piece(model.unk_id()),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }
    engine = Tokenizer.from_str(json.dumps(document))
    return bytes(engine.to_str().encode())
