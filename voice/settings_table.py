"""The README's table of settings, made from the settings. `python -m voice.settings_table README.md` puts it in."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import SecretStr

from voice.settings import Settings

BEGIN, END = "<!-- settings -->", "<!-- /settings -->"


def make_table() -> str:
    """A Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.annotation in {SecretStr, Path} else str(field.default)
        rows.append(f"| `{name.upper()}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(rows)


def put_table(readme: str) -> str:
    """The README with the table between its marks made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{make_table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(put_table(path.read_text("utf-8")), "utf-8")
