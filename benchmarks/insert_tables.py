"""Put the tables of benchmarks/results into the pages of docs that show them.

A page marks the place: ``<!-- table: NAME -->`` ... ``<!-- end of table -->`` stands around the content of
``benchmarks/results/NAME.md``. Run ``python benchmarks/insert_tables.py`` after the tables were made (`make tables`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PLACE = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """Return the text of a page with every table replaced by the present one."""

    def replaced(place: re.Match[str]) -> str:
        table = (RESULTS / f"{place['name']}.md").read_text(encoding="utf-8").strip()
        return f"{place[1]}{table}\n{place[3]}"

    return PLACE.sub(replaced, page)


if __name__ == "__main__":
    for path in [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]:
        before = path.read_text(encoding="utf-8")
        try:
            after = with_tables(before)
        except FileNotFoundError as error:
            sys.exit(f"{path} shows {error.filename}, which does not exist; run make tables")
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path)
