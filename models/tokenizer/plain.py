"""Text that can be UTF-8: what every tokenizer is given."""


def plain(text: str) -> str:
    """`text`, each lone surrogate replaced by U+FFFD: it has no UTF-8, and a decoder of bytes would have put the same in its place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
