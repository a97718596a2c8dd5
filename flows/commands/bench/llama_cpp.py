"""llama.cpp's library at work on several streams in one batch: `python -m flows.commands.bench.llama_cpp`, one object of JSON in, one out.

In: model (a GGUF file), prompts (of equal length), new_tokens, threads. Out: seconds, first_seconds, cpu_seconds, tokens. Greedy; loading
the model is not counted. A process of its own: what llama.cpp asserts ends it.
"""

import json
import resource
import sys
import time
from typing import Any


def run(model: str, prompts: list[list[int]], new_tokens: int, threads: int) -> dict[str, Any]:
    from cyllama.llama import llama_cpp

    llama_cpp.disable_logging()
    streams, length = len(prompts), len(prompts[0])
    model_params = llama_cpp.LlamaModelParams()
    model_params.n_gpu_layers = 0
    opened = llama_cpp.LlamaModel(model, model_params, verbose=False)
    params = llama_cpp.LlamaContextParams()
    params.n_ctx = streams * (length + new_tokens)
    params.n_batch = params.n_ubatch = streams * length
    params.n_seq_max = streams
    params.n_threads = params.n_threads_batch = threads
    context = llama_cpp.LlamaContext(opened, params)
    samplers = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
    samplers.add_greedy()

    before, began = _cpu(), time.perf_counter()
    batch = llama_cpp.LlamaBatch(n_tokens=streams * length, embd=0, n_seq_max=streams)
    for stream, prompt in enumerate(prompts):
        for place, token in enumerate(prompt):
            batch.add(token, place, [stream], place == length - 1)
    context.decode(batch)
    tokens = [samplers.sample(context, (stream + 1) * length - 1) for stream in range(streams)]
    first = time.perf_counter() - began
    for made in range(1, new_tokens):
        batch = llama_cpp.LlamaBatch(n_tokens=streams, embd=0, n_seq_max=streams)
        for stream, token in enumerate(tokens):
            batch.add(token, length + made - 1, [stream], True)
        context.decode(batch)
        tokens = [samplers.sample(context, stream) for stream in range(streams)]
    passed = time.perf_counter() - began
    return {"seconds": passed, "first_seconds": first, "cpu_seconds": _cpu() - before, "tokens": streams * new_tokens}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.stdin.read()))))
