"""What a board is made of: columns with sums, cards of three lines; the macros of `templates/macros/boards.pt` take it.

A plugin's board fills these shapes; moving, quick adding and what others change meanwhile are eased by `board.js`, and
every card has a link that moves it without scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crm_core.views.shapes import Action, Badge, EmptyState, PersonView

_many = dataclass(kw_only=True, slots=True)


@_many
class BoardCard:
    """A record on a board."""

    id: int
    column: int | str
    version: int
    order: str
    """Its place among the cards of a column: the greatest stands first."""
    title: str
    href: str
    subtitle: str = ""
    amount: str = ""
    step: str = ""
    """The next thing to be done, in words."""
    step_tone: str = ""
    step_icon: str = "calendar-event"
    face: PersonView | None = None
    badges: Sequence[Badge] = ()
    """What is wrong with it, in words."""
    dot: str = ""
    """Says why it is marked with a red dot; empty: it is not."""
    tone: str = ""
    move_href: str = ""
    """The page that moves it; empty where this person may not."""


@dataclass(frozen=True, kw_only=True)
class BoardColumn:
    """A column of a board."""

    id: int | str
    title: str
    color: str = "gray"
    kind: str = "open"
    cards: Sequence[BoardCard] = ()
    count: str = ""
    sum: str = ""
    hint: str = ""
    more_href: str = ""
    """Answers its next cards."""
    list_href: str = ""
    """The same records as a list."""
    add_href: str = ""
    """Answers the small form that makes a record here."""
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class BoardPage:
    """A board."""

    title: str
    entity: str
    """Whose changes it listens to."""
    columns: Sequence[BoardColumn]
    move_href: str
    """POST: `id`, `column`, `version` move a record."""
    cards_href: str
    """Answers those of the records `id` that stand on this board."""
    totals_href: str = ""
    """Answers counts and sums of the columns as JSON."""
    fold_href: str = ""
    """POST: keeps which columns are folded."""
    empty: EmptyState | None = None
    actions: Sequence[Action] = field(default_factory=tuple)
