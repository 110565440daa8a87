"""Loads people set-wise, through the triggers of the change log: `make bench-load CLIENTS=1000000`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import sqlalchemy as sa
from rich.progress import Progress
from sqlalchemy.orm import Session

from bench import company
from crm_core import settings
from crm_core.cli.installation import Installation, plugins_of, upgrade
from crm_core.jobs import environment
from crm_core.records import operations
from crm_core.security.subject import Subject

CHUNK = 50_000
TAGS = ("VIP", "опт", "розница", "сервис", "холодный", "тендер", "партнёр", "долг")

SURNAMES = [
    "Иванов",
    "Смирнов",
    "Кузнецов",
    "Попов",
    "Васильев",
    "Петров",
    "Соколов",
    "Михайлов",
    "Новиков",
    "Фёдоров",
    "Морозов",
    "Волков",
    "Алексеев",
    "Лебедев",
    "Семёнов",
    "Егоров",
    "Павлов",
    "Козлов",
    "Степанов",
    "Николаев",
    "Орлов",
    "Андреев",
    "Макаров",
    "Никитин",
    "Захаров",
    "Зайцев",
    "Соловьёв",
    "Борисов",
    "Яковлев",
    "Григорьев",
    "Романов",
    "Воробьёв",
    "Сергеев",
    "Кузьмин",
    "Фролов",
    "Александров",
    "Дмитриев",
    "Королёв",
    "Гусев",
    "Киселёв",
    "Ильин",
    "Максимов",
    "Поляков",
    "Сорокин",
    "Виноградов",
    "Ковалёв",
    "Белов",
    "Медведев",
    "Антонов",
    "Тарасов",
    "Жуков",
    "Баранов",
    "Филиппов",
    "Комаров",
    "Давыдов",
    "Беляев",
    "Герасимов",
    "Богданов",
    "Осипов",
    "Сидоров",
    "Матвеев",
    "Титов",
    "Марков",
    "Миронов",
    "Крылов",
    "Куликов",
    "Карпов",
    "Власов",
    "Мельников",
    "Денисов",
    "Гаврилов",
    "Тихонов",
    "Казаков",
    "Афанасьев",
    "Данилов",
    "Савельев",
    "Тимофеев",
    "Фомин",
    "Чернов",
    "Абрамов",
    "Мартынов",
    "Ефимов",
    "Федотов",
    "Щербаков",
    "Назаров",
    "Калинин",
    "Исаев",
    "Чернышёв",
    "Быков",
    "Маслов",
    "Родионов",
    "Коновалов",
    "Лазарев",
    "Воронин",
    "Климов",
    "Филатов",
    "Пономарёв",
]
#: Before a surname they make another: a hundred surnames alone would stand in blocks of ten thousand in any order.
SYLLABLES = [
    "",
    *[
        "бело",
        "черно",
        "ново",
        "старо",
        "красно",
        "добро",
        "мало",
        "велико",
        "верхо",
        "ниже",
        "сухо",
        "тихо",
        "ясно",
        "долго",
        "остро",
        "криво",
    ],
]
NAMES = [
    "Александр",
    "Дмитрий",
    "Максим",
    "Сергей",
    "Андрей",
    "Алексей",
    "Артём",
    "Илья",
    "Кирилл",
    "Михаил",
    "Никита",
    "Матвей",
    "Роман",
    "Егор",
    "Арсений",
    "Иван",
    "Денис",
    "Евгений",
    "Даниил",
    "Тимофей",
    "Владислав",
    "Игорь",
    "Владимир",
    "Павел",
    "Руслан",
    "Марк",
    "Константин",
    "Тимур",
    "Олег",
    "Ярослав",
    "Антон",
    "Николай",
    "Глеб",
]
PATRONYMICS = [
    "Александрович",
    "Дмитриевич",
    "Максимович",
    "Сергеевич",
    "Андреевич",
    "Алексеевич",
    "Артёмович",
    "Ильич",
    "Кириллович",
    "Михайлович",
    "Никитич",
    "Романович",
    "Егорович",
    "Иванович",
    "Денисович",
    "Евгеньевич",
    "Игоревич",
    "Владимирович",
    "Павлович",
    "Константинович",
    "Олегович",
]
WOMEN = [
    "Анна",
    "Мария",
    "Елена",
    "Дарья",
    "Алина",
    "Ирина",
    "Екатерина",
    "Арина",
    "Полина",
    "Ольга",
    "Юлия",
    "Татьяна",
    "Наталья",
    "Виктория",
    "Елизавета",
    "Ксения",
    "Александра",
    "Светлана",
    "Вера",
    "Надежда",
    "Любовь",
    "Марина",
    "Людмила",
    "Галина",
    "Нина",
    "Евгения",
    "Валентина",
    "Оксана",
    "Софья",
    "Алёна",
]
DAUGHTERS = [
    "Александровна",
    "Дмитриевна",
    "Максимовна",
    "Сергеевна",
    "Андреевна",
    "Алексеевна",
    "Артёмовна",
    "Ильинична",
    "Михайловна",
    "Романовна",
    "Егоровна",
    "Ивановна",
    "Денисовна",
    "Евгеньевна",
    "Игоревна",
    "Владимировна",
    "Павловна",
    "Константиновна",
    "Олеговна",
    "Николаевна",
]

PEOPLE = sa.text(
    """
    INSERT INTO clients_person (id, last_name, first_name, middle_name, full_name, name_sort, phones, emails,
        messengers, city, status, currency, budget, last_contact_at, owner_id, team_id, created_at, created_by, tags)
    SELECT n, l, f, m, name, translate(lower(name), 'ё', 'е'),
        jsonb_build_array(jsonb_build_object('value', '+79' || lpad((n % 1000000000)::text, 9, '0'), 'main', true)),
        jsonb_build_array(jsonb_build_object('value', 'p' || n || '@bench.example', 'main', true)), '[]',
        'Самара', 'active', 'RUB', (n % 900) * 100,
        CAST(:now AS timestamptz) - make_interval(hours => (n * 7 % 9000)::int),
        owners[slot], teams[slot], CAST(:now AS timestamptz) - make_interval(mins => (n % 400000)::int), owners[slot],
        CASE WHEN n % 3 = 0 THEN ARRAY[tag_ids[1 + n % 8], tag_ids[1 + n / 8 % 8]]
            WHEN n % 997 = 0 THEN ARRAY[tag_ids[1]]
            ELSE '{}' END
    FROM (
        SELECT n, l, f, m, l || ' ' || f || ' ' || m AS name, 1 + (n * 7919 % array_length(owners, 1)) AS slot,
            owners, teams, tag_ids
        FROM (
            SELECT n, initcap(syllables[1 + n * 7 % array_length(syllables, 1)]
                    || lower(surnames[1 + n * 31 % array_length(surnames, 1)])) || CASE WHEN n % 997 = 0 THEN 'ский'
                    WHEN n % 2 = 1 THEN 'а' ELSE '' END AS l,
                CASE WHEN n % 2 = 1 THEN women[1 + n * 17 / 7 % array_length(women, 1)]
                    ELSE names[1 + n * 17 / 7 % array_length(names, 1)] END AS f,
                CASE WHEN n % 2 = 1 THEN daughters[1 + n * 13 / 3 % array_length(daughters, 1)]
                    ELSE patronymics[1 + n * 13 / 3 % array_length(patronymics, 1)] END AS m, owners, teams, tag_ids
            FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n,
                (SELECT CAST(:surnames AS text[]) AS surnames, CAST(:syllables AS text[]) AS syllables,
                    CAST(:names AS text[]) AS names,
                    CAST(:women AS text[]) AS women, CAST(:daughters AS text[]) AS daughters,
                    CAST(:patronymics AS text[]) AS patronymics, CAST(:owners AS bigint[]) AS owners,
                    CAST(:teams AS bigint[]) AS teams, CAST(:tags AS bigint[]) AS tag_ids) AS given
        ) AS named
    ) AS dealt
    """
)
SEARCH = sa.text(
    """
    INSERT INTO core_search (entity, record_id, text, sort, owner_id, team_id)
    SELECT 'clients.person', id,
        name_sort || ' ' || ltrim(phones #>> '{0,value}', '+') || ' ' || (emails #>> '{0,value}'),
        name_sort, owner_id, team_id
    FROM clients_person WHERE id BETWEEN :first AND :last
    """
)
ADDRESSES = sa.text(
    """
    INSERT INTO core_address (entity, record_id, kind, value, main)
    SELECT 'clients.person', id, kind, value, true FROM clients_person,
        LATERAL (VALUES ('phone', phones #>> '{0,value}'), ('email', emails #>> '{0,value}')) AS v(kind, value)
    WHERE id BETWEEN :first AND :last
    """
)


def load(session: Session, clients: int) -> float:
    """Load so many people and commit in chunks; return the seconds it took."""
    started = time.monotonic()
    made = company.make(session)
    tags = [
        session.execute(
            sa.text(
                "INSERT INTO core_tag (name) VALUES (:name) "
                "ON CONFLICT (lower(name)) DO UPDATE SET name = excluded.name RETURNING id"
            ),
            {"name": name},
        ).scalar_one()
        for name in TAGS
    ]
    session.commit()
    owners = [owner for owner, _team, part in made["parts"] for _number in range(part)]
    teams = [team for _owner, team, part in made["parts"] for _number in range(part)]
    first_id = session.scalar(sa.text("SELECT coalesce(max(id), 0) + 1 FROM clients_person")) or 1
    values = {
        "surnames": SURNAMES,
        "syllables": SYLLABLES,
        "names": NAMES,
        "patronymics": PATRONYMICS,
        "women": WOMEN,
        "daughters": DAUGHTERS,
        "owners": owners,
        "teams": teams,
        "tags": tags,
    }
    with Progress() as progress:
        task = progress.add_task("people", total=clients)
        for first in range(first_id, first_id + clients, CHUNK):
            last = min(first + CHUNK, first_id + clients) - 1
            operations.begin(session, Subject.system("the load of the benchmark"), kind="load", source="cli")
            now = session.scalar(sa.text("SELECT now()"))
            session.connection().execute(PEOPLE, {**values, "first": first, "last": last, "now": now})
            session.connection().execute(SEARCH, {"first": first, "last": last})
            session.connection().execute(ADDRESSES, {"first": first, "last": last})
            session.commit()
            progress.update(task, advance=last - first + 1)
    _fifty_and_shares(session, made["people"], first_id, clients)
    session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    for table in ("clients_person", "core_search", "core_address", "core_change", "core_grant"):
        session.connection().execute(sa.text(f"VACUUM (ANALYZE) {table}"))
    return time.monotonic() - started


def _fifty_and_shares(session: Session, people: dict[str, int], first_id: int, clients: int) -> None:
    operations.begin(session, Subject.system("the load of the benchmark"), kind="load", source="cli")
    connection = session.connection()
    step = max(clients // 50, 1)
    for statement in (
        "UPDATE clients_person SET owner_id = :user, team_id = NULL WHERE id IN "
        "(SELECT :first + n * :step FROM generate_series(0, 49) AS n)",
        "UPDATE core_search SET owner_id = :user, team_id = NULL WHERE entity = 'clients.person' AND record_id IN "
        "(SELECT :first + n * :step FROM generate_series(0, 49) AS n)",
    ):
        connection.execute(sa.text(statement), {"user": people["fifty"], "first": first_id, "step": step})
    connection.execute(
        sa.text("SELECT setval(pg_get_serial_sequence('clients_person', 'id'), (SELECT max(id) FROM clients_person))")
    )
    for key in ("shares", "mixed"):
        principal = connection.execute(
            sa.text("INSERT INTO core_principal (kind, ref_id) VALUES ('user', :user) RETURNING id"),
            {"user": people[key]},
        ).scalar_one()
        connection.execute(
            sa.text(
                "INSERT INTO core_grant (entity, record_id, principal_id, level, created_at) "
                "SELECT 'clients.person', :first + n * :step + 3, :principal, 'view', now() "
                "FROM generate_series(0, :shares - 1) AS n"
            ),
            {
                "first": first_id,
                "step": max(clients // company.SHARES, 1),
                "principal": principal,
                "shares": min(company.SHARES, clients - 4),
            },
        )
    session.commit()


def main() -> None:
    """Load into the installation of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, default=Path("var/bench"))
    given = parser.parse_args()
    ready = (given.data / "crm.ini").is_file()
    installation = Installation.of(settings.load(data=given.data) if ready else settings.create(given.data))
    with installation.running():
        upgrade(installation.settings, installation.database_url, plugins_of(installation.settings))
        engine, factory, _plugins = environment(installation.app_settings)
        with factory() as session:
            if company.found(session):
                print("this database is loaded already; remove the folder to load another")
                return
            seconds = load(session, given.clients)
        engine.dispose()
    print(f"{given.clients} people in {seconds:.0f} s: {given.clients / seconds:.0f} a second")


if __name__ == "__main__":
    main()
