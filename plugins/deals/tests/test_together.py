"""Two who move one deal at the same moment, on a database where everything commits."""

from __future__ import annotations

import threading
from typing import Any

import sqlalchemy as sa

from crm_core.records import saving
from crm_core.records.gate import Gate
from crm_core.security.subject import load_subject
from crm_core.testing.factories import Factories
from crm_deals import services
from crm_deals.models import Stage, StageChange

ANY = {"crm_ungated": "a look at the result"}


def test_of_two_at_once_one_wins_and_the_other_is_told_who(committed_db: Any) -> None:
    with committed_db.session() as session:
        people = [Factories(session).user("director").id for _n in range(2)]
        gate = Gate(session, load_subject(session, people[0]), committed_db.plugins)
        deal = services.create_deal(gate, name="Одна на двоих")
        number, seen = deal.id, deal.version
        stages = list(session.scalars(sa.select(Stage.id).order_by(Stage.position), execution_options=ANY))[1:3]
    together = threading.Barrier(2)
    outcomes: dict[int, Any] = {}

    def move(user_id: int, stage_id: int) -> None:
        with committed_db.session() as session:
            gate = Gate(session, load_subject(session, user_id), committed_db.plugins)
            mine = gate.get("deals.deal", number)
            together.wait()
            try:
                services.move(gate, mine, stage_id, version=seen)
                outcomes[user_id] = "moved"
            except saving.Conflict as conflict:
                outcomes[user_id] = conflict.by

    threads = [threading.Thread(target=move, args=pair) for pair in zip(people, stages, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    winner = next(user for user, outcome in outcomes.items() if outcome == "moved")
    loser = next(user for user in people if user != winner)
    assert outcomes[loser] == winner
    with committed_db.session() as session:
        moves = session.execute(
            sa.select(StageChange.to_stage_id, StageChange.user_id)
            .where(StageChange.deal_id == number, StageChange.from_stage_id.is_not(None))
        ).all()
    assert moves == [(dict(zip(people, stages, strict=True))[winner], winner)]
