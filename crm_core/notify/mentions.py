"""Mentions of colleagues in text: `@[Ольга Смирнова](user:7)`, read by people as `@Ольга Смирнова`."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BRACKETS = re.compile(r"[\[\]()\n]+")
_TOKEN = re.compile(r"@\[([^\[\]()\n]{1,150})\]\(user:(\d{1,18})\)")


def token(name: str, user_id: int) -> str:
    """Return how a mention is written in a text."""
    return f"@[{_BRACKETS.sub(' ', name).strip()[:150] or user_id}](user:{user_id})"


def mentioned(text: str | None) -> set[int]:
    """Return the ids of the people whom a text mentions."""
    return {int(found[2]) for found in _TOKEN.finditer(text or "")}


def plain(text: str | None) -> str:
    """Return the text as people read it: in letters, lists and files."""
    return _TOKEN.sub(r"@\1", text or "") if text and "@[" in text else (text or "")


def pieces(text: str | None) -> Iterator[tuple[str, int | None]]:
    """Yield the text in pieces: plain ones with None, and names of those mentioned with their ids."""
    place = 0
    for found in _TOKEN.finditer(text or ""):
        if found.start() > place:
            yield (text or "")[place : found.start()], None
        yield f"@{found[1]}", int(found[2])
        place = found.end()
    if place < len(text or ""):
        yield (text or "")[place:], None
