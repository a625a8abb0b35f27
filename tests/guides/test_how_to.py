"""The page of short programs has one for each thing it lists, and is found from where people start."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "migration_guides" / "how-to.md").read_text(encoding="utf-8")


def test_every_section_is_listed_and_has_a_program() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    contents, *rest = sections
    listed = set(re.findall(r"\]\(#([^)]+)\)", contents))
    titles = {section.partition("\n")[0].lower().replace(" ", "-").replace(",", "") for section in rest}
    assert titles == listed
    assert all("```python\n" in section for section in rest)


def test_the_page_is_linked() -> None:
    assert "(migration_guides/how-to.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(how-to.md)" in (ROOT / "migration_guides" / "README.md").read_text(encoding="utf-8")
