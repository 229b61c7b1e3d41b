"""What a client of the SQL door may execute: SELECT over the history's tables and views, by allowed functions.

Rules
    One statement. It must be a SELECT (or BEGIN, COMMIT, ROLLBACK, which change nothing here and become
    no-ops, so that no client can hold a transaction open and with it old versions of everything).
    Every function in it, wherever, must be allowed; every table must be one of ours, a common table
    expression of the statement, or one of the catalog's lists.

Why not just the statement's type: `quack_serve`, `quack_stop`, `nextval`, `read_text`, `sleep_ms`,
`enable_logging` are all let through by SELECT. So the parsed statement is walked, and what is not known
to be harmless is refused: functions without side effects of the core, and the few table functions below.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any, Final

import duckdb
import orjson

from engine.errors import TradepitError

NOOP: Final = "SELECT true AS ok"

TABLE_FUNCTIONS: Final = frozenset(
    {
        "duckdb_columns",
        "duckdb_tables",
        "duckdb_views",
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "pragma_table_info",
        "pragma_version",
        "range",
        "unnest",
    }
)

SCALARS_DENIED: Final = re.compile(
    r"^(getenv|current_setting|getvariable|in_search_path|txid_current|json_serialize_plan|quack_.*|pg_sleep"
    r"|write_.*|read_.*|.*secret.*|combine|finalize|variant_.*|vector_type|create_sort_key|.*_type|current_connection_id|add_parquet_key|nextval|currval|sleep.*)$"
)

VOLATILE_ALLOWED: Final = frozenset({"random", "uuid", "gen_random_uuid", "error"})

MACROS: Final = re.compile(
    r"^((list|array)_.*|split_part|nullif|round_even|roundbankers|fdiv|fmod|date_add|ago|days_in_month|geomean"
    r"|geometric_mean|wavg|weighted_avg|map_contains_.*|md5_number_.*|regexp_split_to_table|generate_subscripts"
    r"|json|json_group_.*|current_(catalog|database|schema|user|role)|user|session_user|pg_typeof|pg_size_pretty)$"
)

CATALOG_TABLES: Final = frozenset({"duckdb_columns", "duckdb_tables", "duckdb_views", "sqlite_master"})
CATALOG_SCHEMAS: Final = frozenset({"information_schema"})
OWN_SCHEMAS: Final = frozenset({"", "main"})
OWN_CATALOGS: Final = frozenset({"", "memory", "history"})

_CALLS = frozenset({"FUNCTION", "WINDOW"})


class Refused(TradepitError):
    """A statement that the door does not execute; the text says why."""


class Guard:
    """Judges statements; parses them in a DuckDB instance of its own that has nothing in it. Thread-safe."""

    def __init__(self, tables: frozenset[str]) -> None:
        self.tables = tables
        self._lock = threading.Lock()
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": "32MB",
            "threads": 1,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_external_access": False,
        }
        self._parser = duckdb.connect(":memory:", config=settings)
        self.functions = frozenset(self._allowed_functions())

    def check(self, query: str) -> str:
        """The statement to execute for `query`.

        Raises:
            Refused: it may not be executed, or cannot be parsed.
        """
        with self._lock:
            try:
                statements = self._parser.extract_statements(query)
            except duckdb.Error as error:
                raise Refused(str(error)) from None
            if len(statements) != 1:
                raise Refused("Give one statement at a time.")
            kind = statements[0].type
            if kind == duckdb.StatementType.TRANSACTION:
                return NOOP
            if kind != duckdb.StatementType.SELECT:
                raise Refused(f"Only SELECT is possible here: the history is read-only, and this is {kind.name}.")
            row = self._parser.execute("SELECT json_serialize_sql($1)", [query]).fetchone()
        tree = orjson.loads(row[0]) if row else {"error": True, "error_message": "it cannot be parsed"}
        if tree["error"]:
            raise Refused(f"Only SELECT is possible here: {tree.get('error_message')}")
        self._check_tree(tree)
        return query

    def _check_tree(self, tree: dict[str, Any]) -> None:
        nodes = list(_nodes(tree))
        named = {str(entry.get("key")).lower() for node in nodes for entry in node.get("cte_map", {}).get("map", ())}
        for node in nodes:
            if "function_name" in node:
                self._check_function(node)
            elif node.get("type") == "BASE_TABLE":
                self._check_table(node, named)

    def _check_function(self, node: dict[str, Any]) -> None:
        name = str(node["function_name"]).lower()
        if name not in self.functions or str(node.get("schema") or "main").lower() not in {"main", "pg_catalog"}:
            raise Refused(f"The function {name} is not allowed here.")

    def _check_table(self, node: dict[str, Any], named: set[str]) -> None:
        catalog, schema, name = (str(node.get(k) or "").lower() for k in ("catalog_name", "schema_name", "table_name"))
        if not catalog and not schema and name in named:
            return
        own = catalog in OWN_CATALOGS and schema in {*OWN_SCHEMAS, *(OWN_CATALOGS if not catalog else ())}
        if own and (name in self.tables or name in CATALOG_TABLES):
            return
        if schema in CATALOG_SCHEMAS and catalog in {*OWN_CATALOGS, "system"}:
            return
        full = ".".join(part for part in (catalog, schema, name) if part)
        raise Refused(f"There is no table {full} here; there are {', '.join(sorted(self.tables))}.")

    def _allowed_functions(self) -> Iterator[str]:
        rows = self._parser.execute(
            "SELECT DISTINCT lower(function_name), function_type, coalesce(stability, ''), coalesce(has_side_effects, false)"
            " FROM duckdb_functions()"
        ).fetchall()
        unsafe = {name for name, kind, _, effects in rows if kind == "scalar" and effects}
        for name, kind, stability, _ in rows:
            if kind == "table":
                allowed = name in TABLE_FUNCTIONS
            elif kind in {"macro", "table_macro"}:
                allowed = bool(MACROS.match(name)) or name in TABLE_FUNCTIONS
            elif kind == "aggregate":
                allowed = True
            else:
                pure = kind == "scalar" and stability != "VOLATILE" and name not in unsafe
                allowed = (pure and not SCALARS_DENIED.match(name)) or name in VOLATILE_ALLOWED
            if allowed:
                yield name
        yield from WINDOWS


WINDOWS: Final = frozenset(
    [
        "row_number",
        "rank",
        "dense_rank",
        "rank_dense",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
        "nth_value",
        "fill",
        "unnest",
        "count_star",
    ]
)
"""What the parser itself knows as functions."""


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the parsed statement; without recursion, as a client decides how deep it goes."""
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
