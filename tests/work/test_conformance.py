"""The conformance kit finds what is wrong: a plugin that breaks each law fails the test of that law, and only those."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

FILES = {
    "crm_bad-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: crm-bad\nVersion: 0.1\n",
    "crm_bad-0.1.dist-info/entry_points.txt": "[crm.plugins]\nbad = crm_bad.plugin\n",
    "crm_bad/__init__.py": "import json\n__version__ = '0.1'\n",
    "crm_bad/models.py": """
        import sqlalchemy as sa
        from sqlalchemy.orm import Mapped, mapped_column
        from crm_core.db import Base, RecordMixin

        class Thing(RecordMixin, Base):
            __tablename__ = "bad_thing"
            name: Mapped[str]
            name_sort: Mapped[str]
            extra_column: Mapped[str | None]
            maker_id: Mapped[int | None] = mapped_column(sa.ForeignKey("core_user.id", ondelete="CASCADE"))

        class Stray(Base):
            __tablename__ = "stray_table"
            id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    """,
    "crm_bad/plugin.py": """
        from crm_core.hooks import hookimpl
        from crm_core.specs import Job, Permission, PluginInfo, Widget
        import crm_bad.models
        from crm_core.i18n import _

        PLUGIN = PluginInfo(name="bad", package="crm_bad", title="Bad", version="0.1")

        def run(context): ...

        @hookimpl
        def crm_permissions():
            return [Permission(name="bad:view", title="See", group="Bad", default={"nobody": "all"})]

        @hookimpl
        def crm_jobs():
            return [Job(name="work", run=run)]

        @hookimpl
        def crm_widgets():
            return [Widget(id="bad.box", title="Box", load=run, template="templates/none.pt", permission="bad:nothing")]

        def view(request):
            return request.response

        @hookimpl
        def crm_include(config):
            config.add_route("page", "/elsewhere")
            config.add_view(view, route_name="page")
    """,
    "crm_bad/services.py": "import crm_clients.models\nfrom crm_core.views import errors\n",
    "crm_bad/i18n.py": """
        from pyramid.i18n import TranslationStringFactory
        _ = TranslationStringFactory("crm_bad")
        TITLE = _("Never translated")
    """,
    "crm_bad/migrations/bad_0001_initial.py": """
        import sqlalchemy as sa
        from alembic import op
        from crm_core.db import record_columns

        revision, down_revision = "bad_0001_initial", None

        def upgrade():
            op.create_table("bad_thing", *record_columns(), sa.Column("name", sa.Text(), nullable=False),
                sa.Column("name_sort", sa.Text(), nullable=False), sa.Column("maker_id", sa.BigInteger()))
            op.create_table("bad_left", sa.Column("id", sa.BigInteger(), primary_key=True))
            op.create_table("stray_table", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True))

        def downgrade():
            op.drop_table("bad_thing")
            op.drop_table("stray_table")
            op.execute("ALTER TABLE bad_left RENAME TO bad_kept")
    """,
}


def test_each_broken_law_is_found(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip())

    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--pyargs", "crm_core.testing.conformance", "--crm-plugin", "bad"),
            *("-q", "-p", "no:cacheprovider", "-c", str(ROOT / "setup.cfg"), "--rootdir", str(ROOT), "-rf"),
        ],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    failed = set(re.findall(r"^FAILED .*::(test_\w+)", done.stdout, re.M))
    assert failed == {
        "test_each_gated_table_has_its_triggers_and_is_guarded",
        "test_each_view_declares_its_permission",
        "test_foreign_keys_keep_what_others_own",
        "test_it_imports_no_other_plugin_and_no_private_room",
        "test_it_says_what_it_is",
        "test_its_names_carry_its_prefix",
        "test_its_specs_hold_together",
        "test_its_texts_are_there_in_both_languages",
        "test_migrations_go_up_and_down_and_up_and_equal_the_models",
        "test_switched_off_and_on_again_nothing_is_lost",
    }, done.stdout[-6000:] + done.stderr[-2000:]
    for sentence in (
        "stray_table",
        "route page",
        "URL /elsewhere",
        "job work",
        "goes to the role 'nobody'",
        "'bad:nothing', which nobody declares",
        "there is no template templates/none.pt",
        "imports the plugin crm_clients",
        "private room crm_core.views.errors",
        "name no permission",
        "core_log_insert",
        "deletes with core_user",
        "is not in core_reference",
    ):
        assert sentence in done.stdout, sentence
