from __future__ import annotations

from pathlib import Path

from voice.settings_table import put_table


def test_the_readmes_table_of_settings_is_up_to_date() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert put_table(readme) == readme, "Please run: make settings"
