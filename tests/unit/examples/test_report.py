import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from merlin_models_torch.examples.report import Losses, Report, page, write_report
from merlin_models_torch.reporting.cards import Example
from merlin_models_torch.reporting.ranking import heading, split_names

REPORT = Report(
    title="Films & <sessions>",
    summary="What came next.",
    highlights=[("75.0%", "found")],
    losses=Losses([(0.5, 4.0), (1.0, 3.25), (2.0, 2.5)], [(1, 3.5), (2, 2.75)], chance=4.6),
    scores={
        "ours": {"hit_rate_at_5": 0.75, "hit_rate_at_10": 0.875, "ndcg_at_5": 0.5, "ndcg_at_10": 0.5625},
        "popular": {"hit_rate_at_5": 0.125, "hit_rate_at_10": 0.25, "ndcg_at_5": 0.0625, "ndcg_at_10": 0.1},
    },
    examples=[
        Example("s1", ["a", "b"], "c", {"ours": ["x", "c"], "popular": ["p", "q"]}),
        Example("s2", ["d"], "<e>", {"ours": ["y", "z"], "popular": ["p", "q"]}),
    ],
    notes={"c": "drama"},
    facts=[("Seed", "0")],
    remark="Mind the gap.",
)


def tree(report=REPORT):
    return ET.fromstring(page(report).split("\n", 1)[1])


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def of_class(root, kind):
    return [element for element in root.iter() if kind in (element.get("class") or "").split()]


def test_the_page_is_whole_and_needs_nothing_from_outside():
    text = page(REPORT)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    names = {element.tag for element in tree().iter()}
    assert not names & {"script", "link", "img", "iframe", "object", "image", "use", "foreignObject"}
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|\bhref=|\bon\w+=", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_it_tells_the_figures_by_system_and_cut_off():
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in tree().find(".//details").iter("tr")}
    assert rows == {
        "system": ["HR@5", "HR@10", "NDCG@5", "NDCG@10"],
        "ours": ["0.7500", "0.8750", "0.5000", "0.5625"],
        "popular": ["0.1250", "0.2500", "0.0625", "0.1000"],
    }
    charts = [svg.get("aria-label") for svg in tree().iter("svg")]
    assert charts == [
        "Hit rate by number of answers. ours: 0.750 at 5, 0.875 at 10; popular: 0.125 at 5, 0.250 at 10",
        "NDCG by number of answers. ours: 0.500 at 5, 0.562 at 10; popular: 0.062 at 5, 0.100 at 10",
        "Loss by epoch. validation from 3.50 to 2.75; training from 4.00 to 2.50",
    ]
    assert all(svg.find("title") is not None and svg.find("desc") is not None for svg in tree().iter("svg"))


def test_the_loss_table_stands_beside_the_curve():
    (table,) = [t for t in tree().iter("table") if t.find("caption") is not None]
    assert [[cell.text for cell in row] for row in table.find("tbody")] == [
        ["1", "3.250", "3.500"],
        ["2", "2.500", "2.750"],
    ]
    assert "all items equally likely: 4.60" in page(REPORT)


def test_only_answers_that_came_next_are_marked_as_hits():
    cards = of_class(tree(), "card")
    assert [len(of_class(card, "hit")) for card in cards] == [1, 0]
    assert text_of(of_class(cards[0], "hit")[0]) == "c drama✓ hit"
    assert text_of(of_class(cards[1], "next")[0]) == "came next: <e>"
    assert [text_of(item) for item in cards[0].find("ul")] == ["a", "b"]
    assert [[text_of(item) for item in answers] for answers in cards[1].iter("ol")] == [
        ["y", "z"],
        ["p", "q"],
    ]


def test_headings_name_their_sections():
    root = tree()
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert {section.get("aria-labelledby") for section in root.iter("section")} == set(ids)
    assert text_of(root.find(".//h1")) == "Films & <sessions>"
    assert text_of(of_class(root, "remark")[0]) == "Mind the gap."
    assert text_of(of_class(root, "fact")[0]) == "Seed0"


def test_a_report_without_sessions_has_no_such_section():
    root = tree(replace(REPORT, examples=(), remark=""))
    assert [section.get("aria-labelledby") for section in root.iter("section")] == [
        "quality",
        "learning",
        "made",
    ]
    assert not of_class(root, "remark")


def test_writing_replaces_an_older_page(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_report(replace(REPORT, title="old"), path)
    assert write_report(REPORT, path) == path
    assert path.read_text(encoding="utf-8") == page(REPORT)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_names_of_measures():
    assert split_names({"hit_rate_at_5": 0.1, "hit_rate_at_10": 0.2, "mrr_at_5": 0.3}) == {
        "hit_rate": {5: 0.1, 10: 0.2},
        "mrr": {5: 0.3},
    }
    assert [heading(name) for name in ("hit_rate_at_5", "ndcg_at_10", "own_at_3")] == [
        "HR@5",
        "NDCG@10",
        "own@3",
    ]
    with pytest.raises(ValueError, match="score 'auc' is not named like 'ndcg_at_10'"):
        split_names({"auc": 0.5})
