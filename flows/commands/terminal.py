"""How commands speak: one console, wide enough for a table where output is piped, and text that cannot speak to the terminal itself."""

from rich.console import Console

_BIDI = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}


def console() -> Console:
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = 160
    return made


def visible(text: str) -> str:
    """Crawled text with control characters and changes of writing direction made harmless."""
    return "".join(
        "�" if character in _BIDI or not (character.isprintable() or character in "\n\t") else character for character in text
    )
