"""What an installation may say about itself, and the sentence each mistake gets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from crm_core.settings import ConfigurationError, create, load, read, write_setting


def test_a_first_start_makes_the_ini_file_for_its_owner_only(tmp_path: Path) -> None:
    settings = create(tmp_path / "data", demo=True)

    assert settings.demo
    assert settings.embedded
    assert settings.base_url == "http://127.0.0.1:6543"
    assert stat.S_IMODE(settings.ini.stat().st_mode) == 0o600
    assert not stat.S_IMODE((tmp_path / "data").stat().st_mode) & 0o066
    assert load(data=tmp_path / "data") == settings


def test_a_folder_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    create(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sqlalchemy.url = sqlite:///x.db", "sqlalchemy.url = sqlite:///x.db: only PostgreSQL will do; write"),
        ("sqlalchemy.url = nonsense", "sqlalchemy.url = nonsense: is not an address; write postgresql+psycopg://"),
        ("sqlalchemy.url = postgresql://crm:hush@db", "names no database"),
        ("redis.url = http://x", "redis.url = http://x: is not the address of a Redis"),
        ("crm.plugin = clients", "crm.plugin = clients: there is no such setting; did you mean crm.plugins?"),
        ("crm.demo = perhaps", "crm.demo = perhaps: is neither true nor false"),
        ("crm.port = 99999", "crm.port = 99999: is not a number that fits; write a number from 1 to 65535"),
        ("crm.locale = de", "crm.locale = de: is not one of the values; write ru or en"),
        ("crm.time_zone = Samara", "crm.time_zone = Samara: is not a time zone"),
        ("crm.currency = roubles", "crm.currency = roubles: is not a currency"),
        ("crm.trusted_proxies = proxy", "'proxy' is not an IP address"),
        ("crm.demo = true\ncrm.host = 0.0.0.0", "crm.host = 0.0.0.0: the demo company has known passwords"),
        ("crm.demo = true\ncrm.base_url = https://crm.example", "crm.base_url = https://crm.example: the demo"),
        ("crm.base_url = crm.example", "crm.base_url = crm.example: is not an address"),
        ("crm.demo = true\ncrm.demo = true", "cannot be read"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_the_setting_and_the_remedy(ini: Path, line: str, says: str) -> None:
    ini.write_text(f"[app:main]\n{line}\n", "utf-8")

    with pytest.raises(ConfigurationError) as told:
        read(ini)

    assert says in str(told.value)
    assert "hush" not in str(told.value)
    assert "\n" not in str(told.value)
    assert str(told.value).endswith(".")


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="crm init --data"):
        load(data=tmp_path)


def test_addresses_of_own_servers_are_taken(ini: Path) -> None:
    ini.write_text("[app:main]\nsqlalchemy.url = postgresql://crm:a%b@db/crm\nredis.url = redis://q/0\n", "utf-8")

    settings = read(ini)

    assert not settings.embedded
    assert settings.database_url == "postgresql+psycopg://crm:a%25b@db/crm"
    assert "a%b" not in repr(settings)
    assert settings.for_app()["redis.url"] == "redis://q/0"


def test_the_key_is_made_once(ini: Path) -> None:
    ini.write_text("[app:main]\n", "utf-8")
    settings = read(ini)

    key = settings.secret()

    assert len(key) == 32
    assert read(ini).secret() == key
    assert stat.S_IMODE(settings.secret_key_file.stat().st_mode) == 0o600


def test_one_line_is_written_and_the_rest_stays(ini: Path) -> None:
    ini.write_text(
        "# mine\n[app:main]\n# on\ncrm.plugins = a\n    b\ncrm.locale = en\n\n[loggers]\nkeys = root\n", "utf-8"
    )
    ini.chmod(0o640)

    write_setting(ini, "crm.plugins", "a")
    write_setting(ini, "crm.theme", "contrast")

    assert ini.read_text("utf-8") == (
        "# mine\n[app:main]\n# on\ncrm.plugins = a\ncrm.locale = en\ncrm.theme = contrast\n\n[loggers]\nkeys = root\n"
    )
    assert stat.S_IMODE(ini.stat().st_mode) == 0o640


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    return tmp_path / "crm.ini"


@pytest.mark.parametrize("name", ["crm.ini", "development.ini", "testing.ini"])
def test_the_examples_are_right(name: str) -> None:
    path = Path(__file__).parents[2] / "etc" / name

    assert read(path).plugins == ("clients", "deals", "tasks", "calls")
