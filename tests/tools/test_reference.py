"""The documentation's text from the code."""

from __future__ import annotations

from pattoo_mp.config import sample
from pattoo_mp.config.settings import program_files, program_settings
from tools import reference


def test_each_setting_has_a_row() -> None:
    """It has the default, the expected values and the meaning."""
    rows = [line for line in reference.settings().splitlines() if line.startswith("| `")]
    assert len(rows) == len(program_settings())
    for setting, row in zip(program_settings(), rows, strict=True):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert (cells[0], *cells[2:]) == (f"`{setting.name}`", setting.expected, setting.about)
    assert "| `polling_interval` | `300` |" in reference.settings()
    assert "| `log_directory` | required |" in reference.settings()


def test_the_samples_are_the_shipped_ones() -> None:
    """Each is complete, below its name."""
    for name in program_files():
        assert f"### {name}\n\n```yaml\n{sample.one_file(name)}```" in reference.samples()
