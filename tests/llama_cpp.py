"""llama.cpp at work, for comparison: in a process of its own, which a failed assertion of its would end.

In: `ask(command, **arguments)`; out: what the command gives. The wheel `cyllama` carries llama.cpp.

| command | arguments | answer |
|---|---|---|
| quantize | source, jobs: (target, file type), importance: .npz by tensor name | CPU seconds of each, on one thread |
| tokens | model, texts, special: whether names of reserved tokens count | ids of each text |
| logits | model, tokens, target: .npy [T, V] | - |
| chat | model, messages, count | the prompt that its embedded template makes (by Jinja and by llama.cpp's C function), its ids, and what it goes on with greedily: ids, and by how much each led |
| metadata | model | its metadata as strings, `template` |
"""

import ctypes
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def ask(command: str, **arguments: Any) -> Any:
    pytest.importorskip("cyllama", reason="the wheel of llama.cpp is not installed")
    given = json.dumps({"command": command, **arguments}, default=str)
    done = subprocess.run([sys.executable, "-m", "tests.llama_cpp"], input=given, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def _quantize(source: str, jobs: list[tuple[str, int]], importance: str = "") -> Any:
    import numpy as np
    from cyllama.llama import llama_cpp

    params = llama_cpp.LlamaModelQuantizeParams()
    params.nthread = 1
    kept = _set_importance(params, dict(np.load(importance))) if importance else None
    seconds = []
    for target, file_type in jobs:
        params.ftype = file_type
        before = resource.getrusage(resource.RUSAGE_SELF)
        llama_cpp.model_quantize(source, target, params)
        after = resource.getrusage(resource.RUSAGE_SELF)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    del kept
    return seconds


class _Entry(ctypes.Structure):  # llama_model_imatrix_data of llama.h
    _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t))


class _Params(ctypes.Structure):  # the beginning of llama_model_quantize_params
    _fields_ = (
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("types", ctypes.c_int32 * 2),
        ("flags", ctypes.c_bool * 6),
        ("imatrix", ctypes.c_void_p),
    )


def _set_importance(params: Any, importance: dict[str, Any]) -> Any:
    """The binding has no setter for it: find its struct by two numbers that it holds, and write the pointer. What must stay alive."""
    import numpy as np

    arrays = {name: np.ascontiguousarray(values, np.float32).reshape(-1) for name, values in importance.items()}
    entries = (_Entry * (len(arrays) + 1))()
    for entry, (name, values) in zip(entries, arrays.items(), strict=False):
        entry.name, entry.size = name.encode(), values.size
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    at = id(params)
    size = type(params).__basicsize__
    wanted = bytes(_Params(params.nthread, params.ftype))[:8]
    offset = ctypes.string_at(at, size).index(wanted)
    struct = _Params.from_address(at + offset)
    assert not struct.imatrix
    struct.imatrix = ctypes.addressof(entries)
    return entries, arrays


def _opened(model: str) -> Any:
    from cyllama.llama import llama_cpp

    class Model(llama_cpp.LlamaModel):  # type: ignore[misc]
        @property
        def n_vocab(self) -> int:  # the binding's get_logits_ith asks for it
            return int(self.get_vocab().n_vocab)

    params = llama_cpp.LlamaModelParams()
    params.n_gpu_layers = 0
    return Model(model, params, verbose=False)


def _tokens(model: str, texts: list[str], special: bool = False) -> Any:
    opened = _opened(model)
    words = opened.get_vocab()
    return [list(words.tokenize(text, False, special)) for text in texts]


def _metadata(model: str) -> Any:
    opened = _opened(model)
    return {**opened.metadata(), "template": opened.get_default_chat_template()}


class _Context:
    """Keys and values in fp32, no flash attention: nothing rounds but fp32."""

    def __init__(self, opened: Any, size: int) -> None:
        from cyllama.llama import llama_cpp

        params = llama_cpp.LlamaContextParams()
        params.n_ctx = params.n_batch = params.n_ubatch = size
        params.n_threads = params.n_threads_batch = 1
        params.type_k = params.type_v = 0
        params.flash_attn_type = 0
        self.binding, self.size = llama_cpp, size
        self.context = llama_cpp.LlamaContext(opened, params)
        self.at = 0

    def read(self, tokens: list[int]) -> Any:
        """Logits [T, V]."""
        import numpy as np

        batch = self.binding.LlamaBatch(n_tokens=self.size, embd=0, n_seq_max=1)
        for place, token in enumerate(tokens):
            batch.add(token, self.at + place, [0], True)
        self.context.decode(batch)
        self.at += len(tokens)
        return np.array([self.context.get_logits_ith(place) for place in range(len(tokens))], np.float32)


def _logits(model: str, tokens: list[int], target: str) -> Any:
    import numpy as np

    opened = _opened(model)
    np.save(target, _Context(opened, len(tokens)).read(tokens))


def _chat(model: str, messages: list[dict[str, str]], count: int) -> Any:
    import numpy as np
    from cyllama.llama.llama_cpp import LlamaChatMessage
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    opened = _opened(model)
    words = opened.get_vocab()
    names = {
        name: words.get_text(number) for name, number in (("bos_token", words.token_bos()), ("eos_token", words.token_eos()))
    }
    layout = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(opened.get_default_chat_template())
    rendered = layout.render(messages=messages, add_generation_prompt=True, **names)
    legacy = opened.chat_apply_template(opened.get_default_chat_template(), [LlamaChatMessage(**one) for one in messages], True)
    # As llama.cpp's chat does: what the template begins with is left to the tokenizer, which adds it.
    body = rendered.removeprefix(names["bos_token"]) if words.get_add_bos() else rendered
    ids = list(words.tokenize(body, True, True))
    context = _Context(opened, len(ids) + count)
    logits = context.read(ids)[-1]
    written, leads = [], []
    for _ in range(count):
        first, second = np.sort(logits)[-1:-3:-1]
        written.append(int(logits.argmax()))
        leads.append(float(first - second))
        if words.is_eog(written[-1]):
            break
        logits = context.read(written[-1:])[-1]
    return {
        "prompt": rendered,
        "legacy": legacy,
        "legacy_ids": list(words.tokenize(legacy, True, True)),
        "ids": ids,
        "written": written,
        "leads": leads,
    }


def main() -> None:
    from cyllama.llama import llama_cpp

    llama_cpp.disable_logging()
    given = json.loads(sys.stdin.read())
    command = given.pop("command")
    commands = {"quantize": _quantize, "tokens": _tokens, "logits": _logits, "chat": _chat, "metadata": _metadata}
    print(json.dumps(commands[command](**given)))


if __name__ == "__main__":
    main()
