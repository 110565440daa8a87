"""The catalogue: products, services and their groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crm_core.records import cleaning
from crm_core.specs import DoubleRule, Entity, ImportLink
from crm_deals.i18n import _
from crm_deals.models import Product, ProductGroup
from crm_deals.schemas import GroupSchema, ProductSchema

PRODUCT, GROUP = "deals.product", "deals.group"


def prepare_named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key a product or group is sorted by."""
    return {"name_sort": cleaning.sort_key(row.get("name") or "")}


def prepare_product(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is derived of a product, and what it is when nothing is said."""
    return {
        **prepare_named(row),
        "kind": row.get("kind") or "goods",
        "unit": row.get("unit") or "pcs",
        "currency": row.get("currency") or "RUB",
    }


def put_into_groups(session: Any, pairs: Iterable[tuple[int, int]], _context: Any = None) -> None:
    """Put imported products into their groups, leaving those that are in one."""
    from crm_deals.services.lists import put_into_groups as put

    put(session, pairs)


PRODUCTS = Entity(
    name=PRODUCT,
    title=_("Product"),
    title_plural=_("Products"),
    model=Product,
    schema=ProductSchema,
    permission_prefix="products",
    url="/deals/products",
    icon="package",
    add_title=_("Add a product"),
    about=_("What you sell: goods and services with their prices. They become lines of deals and offers."),
    sort="name_sort",
    hint=("sku",),
    head=("price", "unit", "vat_code"),
    columns=("sku", "group_id", "kind", "price", "unit", "vat_code", "active"),
    doubles=(
        DoubleRule(kind="field", field="sku", title=_("the same code"), weight=90),
        DoubleRule(kind="name", field="name", title=_("the same name"), weight=60),
    ),
    prepare=prepare_product,
    import_links=(
        ImportLink(
            entity=GROUP,
            title=_("Group of the product"),
            fields=("name",),
            keys=("name_sort",),
            column="group_id",
            link=put_into_groups,
        ),
    ),
)

GROUPS = Entity(
    name=GROUP,
    title=_("Product group"),
    title_plural=_("Product groups"),
    model=ProductGroup,
    schema=GroupSchema,
    permission_prefix="products",
    url="/deals/groups",
    icon="category",
    add_title=_("Add a group"),
    about=_("Groups of the catalogue; targets are set for them too."),
    sort="name_sort",
    columns=("name",),
    doubles=(DoubleRule(kind="name", field="name", title=_("the same name"), weight=90),),
    prepare=prepare_named,
    importable=False,
    in_menu=False,
)
