"""What may stand in a request: OpenAI's parameters, and a few of vLLM's and our own. An unknown one is refused, not passed over.

| beyond OpenAI's | |
|---|---|
| top_k, min_p, repetition_penalty | as in models/transformer/sampling.py |
| ignore_eos | goes on behind the tokens that end a document or a turn, for measurements |
| truncation | `auto`: a chat that is too long loses its oldest exchanges; `disabled`: it is refused |
| tools | {"type": "python"}, {"type": "search"}: the server's own, run while the model writes; or functions of these names, which the client runs |

What OpenAI has and Winnow has not (penalties on presence and frequency, logit_bias, a suffix, response formats) is refused unless it
asks for nothing.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from models.transformer.sampling import LOWEST, MOST_K, Sampling

MOST_STOPS = 16
MOST_TOP = 20


def _stops(value: object) -> object:
    if value is None:
        return ()
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found) or len(found) > MOST_STOPS:
        raise ValueError(f"expected a text or a list of at most {MOST_STOPS} texts, none of them empty")
    return tuple(found)


def _prompts(value: object) -> object:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(type(one) is int for one in value):
            return [value]
        if all(isinstance(one, str) for one in value) or all(
            isinstance(one, list) and one and all(type(token) is int for token in one) for one in value
        ):
            return value
    raise ValueError("expected a text, a list of texts, a list of tokens, or a list of lists of tokens, none of the lists empty")


def _nothing(value: object) -> object:
    if value:
        raise ValueError("this is not supported; leave it out")
    return value


def _plain_text(value: object) -> object:
    if value not in (None, {"type": "text"}):
        raise ValueError('this is not supported; leave it out, or give {"type": "text"}')
    return value


Stops = Annotated[tuple[str, ...], BeforeValidator(_stops)]
Nothing = Annotated[Any, AfterValidator(_nothing)]
Bound = Annotated[StrictInt, Field(ge=1, le=1 << 31)]


class StreamOptions(BaseModel, frozen=True):
    include_usage: StrictBool = False
    include_obfuscation: StrictBool = False
    """Taken and without effect, as of a server that has no such padding."""


class Asked(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """What both kinds have."""

    model: str
    max_tokens: Annotated[StrictInt, Field(ge=0, le=1 << 31)] | None = None
    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    top_k: Annotated[StrictInt, Field(ge=0, le=MOST_K)] | None = None
    min_p: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(strict=True, ge=LOWEST, le=10)] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=128)] | None = None
    seed: Annotated[StrictInt, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: Stops = ()
    ignore_eos: StrictBool = False
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    presence_penalty: Nothing = None
    frequency_penalty: Nothing = None
    logit_bias: Nothing = None

    @field_validator("stream_options")
    @classmethod
    def _options_of_a_stream(cls, given: StreamOptions | None, info: ValidationInfo) -> StreamOptions | None:
        if given is not None and not info.data.get("stream"):
            raise ValueError("it needs stream: true")
        return given

    @property
    def sampling(self) -> Sampling:
        return Sampling(
            1.0 if self.temperature is None else self.temperature,
            self.top_k or 0,
            1.0 if self.top_p is None else self.top_p,
            self.min_p or 0.0,
            self.repetition_penalty or 1.0,
        )


class AskedCompletion(Asked, frozen=True):
    prompt: Annotated[list[str] | list[list[int]], BeforeValidator(_prompts)]
    echo: StrictBool | None = None
    logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_TOP)] | None = None
    best_of: Annotated[StrictInt, Field(ge=1)] | None = None
    suffix: Nothing = None

    @model_validator(mode="after")
    def _as_many_as_wanted(self) -> Self:
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise ValueError("best_of is not supported beyond n; leave it out")
        return self


class AskedTool(BaseModel, frozen=True):
    type: Literal["python", "search", "function"]
    function: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.type == "function" and (self.function or {}).get("name") not in ("python", "search"):
            raise ValueError("the model knows the tools python and search alone; expected a function of one of these names")
        if not isinstance((self.function or {}).get("parameters"), dict | None):
            raise ValueError("a function's parameters are no object; expected a JSON schema, or none")
        return self

    @property
    def name(self) -> str:
        return str(self.function["name"]) if self.function is not None and self.type == "function" else self.type


class AskedMessage(BaseModel, frozen=True, extra="ignore"):
    """Clients send back what they were given, so what is not known is passed over."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class AskedChat(Asked, frozen=True):
    messages: Annotated[list[AskedMessage], Field(min_length=1)]
    max_completion_tokens: Bound | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_TOP)] | None = None
    tools: list[AskedTool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: StrictBool | None = None
    response_format: Annotated[Any, AfterValidator(_plain_text)] = None
    truncation: Literal["auto", "disabled"] = "disabled"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.tool_choice not in (None, "auto", "none"):
            raise ValueError('tool_choice is not supported; expected "auto", "none" or nothing: the model chooses by itself')
        if self.max_tokens == 0:
            raise ValueError("max_tokens is 0; expected at least 1")
        return self
