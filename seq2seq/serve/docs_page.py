"""The documentation of the HTTP interfaces as one HTML page that loads no other files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { overflow-x: auto; padding: 0.75rem; background: #f3f3f3; }
section { border-top: 1px solid #ccc; margin-top: 2rem; }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #161616; } pre { background: #262626; } a { color: #8ab4f8; }
}
"""


def render_docs(spec: Mapping[str, Any]) -> str:
    """Return an HTML page that describes an OpenAPI specification."""
    info, schemas = spec["info"], spec["components"]["schemas"]
    links, sections = [], []
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            title = f"{method.upper()} {path}"
            anchor = escape(title.replace(" ", "-").replace("/", "-"), quote=True)
            links.append(f'<li><a href="#{anchor}"><code>{escape(title)}</code></a></li>')
            body = _operation_html(operation, schemas)
            sections.append(
                f'<section id="{anchor}"><h2><code>{escape(title)}</code></h2>{body}</section>'
            )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}'
        '</title><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style><main><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f'<p>{escape(info["description"])} The same as <a href="spec">OpenAPI</a>.</p>'
        f"<ul>{''.join(links)}</ul>{''.join(sections)}</main></html>"
    )


def _operation_html(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(operation['summary'])}.</p>"]
    if content := operation.get("requestBody", {}).get("content"):
        kinds = " or ".join(f"<code>{escape(kind)}</code>" for kind in content)
        schema = _resolve(next(iter(content.values()))["schema"], schemas)
        parts.append(f"<h3>Request</h3><p>{kinds}</p>{_fields_html(schema)}")
    parts.append("<h3>Answer</h3><table>")
    for status, answer in operation["responses"].items():
        text = escape(answer["description"])
        parts.append(f"<tr><th>{status}</th><td>{text}</td></tr>")
    parts.append("</table>")
    good = operation["responses"].get("200", {}).get("content", {})
    for media in list(good.values())[:1]:
        if "$ref" in media["schema"]:
            schema = _resolve(media["schema"], schemas)
            shown = json.dumps(schema, indent=1, ensure_ascii=False)
            parts.append(f"<details><summary>Schema</summary><pre>{escape(shown)}</pre></details>")
    return "".join(parts)


def _resolve(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    resolved: Mapping[str, Any] = schemas[name] if name else schema
    return resolved


def _fields_html(schema: Mapping[str, Any]) -> str:
    rows = []
    for name, field in schema.get("properties", {}).items():
        need = "required" if name in schema.get("required", ()) else ""
        default = "" if field.get("default") is None else f"default {json.dumps(field['default'])}"
        text = escape(field.get("description", ""))
        rows.append(
            f"<tr><th><code>{escape(name)}</code></th><td>{need}{escape(default)}</td>"
            f"<td>{text}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"
