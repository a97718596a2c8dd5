"""Reserved tokens: part of every vocabulary from its training on, never made from text, only put in by what lays out documents and chats.

| token | stands |
|---|---|
| PAD | where a row has nothing; never learnt, never a stop |
| START, END | before and after a document |
| TURN, SEPARATOR, TURN_END | `<|im_start|>role<|im_sep|>content<|im_end|>` in chats |
| SEARCH, SEARCH_END | around a query that the model sends to a search |
| PYTHON, PYTHON_END | around an expression that the model has computed |
| RESULT, RESULT_END | around what came back |
| THINK, THINK_END | around reasoning before an answer |
"""

PAD = "<|pad|>"
START, END = "<|document_start|>", "<|document_end|>"
TURN, SEPARATOR, TURN_END = "<|im_start|>", "<|im_sep|>", "<|im_end|>"
SEARCH, SEARCH_END = "<|search_start|>", "<|search_end|>"
PYTHON, PYTHON_END = "<|python_start|>", "<|python_end|>"
RESULT, RESULT_END = "<|result_start|>", "<|result_end|>"
THINK, THINK_END = "<think>", "</think>"

RESERVED = (
    PAD, START, END, TURN, SEPARATOR, TURN_END, SEARCH, SEARCH_END, PYTHON, PYTHON_END, RESULT, RESULT_END, THINK, THINK_END,
)  # fmt: skip
