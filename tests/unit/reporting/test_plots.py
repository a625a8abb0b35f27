"""Points and matrices are where their numbers say."""

import xml.etree.ElementTree as ET

import pytest
import torch

import merlin_models_torch as mm
from merlin_models_torch.reporting.drawing import drawing, tree_of
from merlin_models_torch.reporting.page import document, legend, table, write_page
from merlin_models_torch.reporting.plots import heat_map, scatter_chart
from merlin_models_torch.reporting.text import label, text
from tests.unit.clicks import click_schema


def test_points_lie_by_their_numbers_and_have_their_words() -> None:
    points = [(0.0, 0.0, "a"), (1.0, 1.0, "<b>"), (0.5, 0.5, "c")]
    svg = ET.fromstring(
        scatter_chart("T", "D", {"one": points[:2], "two": points[2:]}, x_label="x", y_label="y")
    )
    found = {c.find("title").text: (float(c.get("cx")), float(c.get("cy"))) for c in svg.iter("circle")}  # type: ignore[union-attr,arg-type]
    assert found["c"][0] == pytest.approx((found["a"][0] + found["<b>"][0]) / 2, abs=0.1)
    assert found["c"][1] == pytest.approx((found["a"][1] + found["<b>"][1]) / 2, abs=0.1)
    assert found["a"][1] > found["<b>"][1]
    assert [g.get("class") for g in svg.iter("g") if g.get("class")] == ["point series-1", "point series-0"]
    with pytest.raises(ValueError, match="chart 'T' has no points"):
        scatter_chart("T", "D", {"one": []}, x_label="x", y_label="y")


def test_cells_are_as_dark_as_their_shares() -> None:
    svg = ET.fromstring(heat_map("T", "D", ["a", "b"], ["1", "2"], [[0.25, 0.0], [1.5, 0.125]]))
    cells = [cell for cell in svg.iter("rect") if cell.get("class") == "cell"]
    assert [float(cell.get("fill-opacity", "")) for cell in cells] == [0.167, 0, 1, 0.083]
    assert [cell.find("title").text for cell in cells] == [
        "a, 1: 0.250",
        "a, 2: 0.000",
        "b, 1: 1.500",
        "b, 2: 0.125",
    ]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"has 1 rows of \[1\] numbers for 2 names of rows and 2 of columns"):
        heat_map("T", "D", ["a", "b"], ["1", "2"], [[1.0]])


def test_a_tree_of_blocks_follows_the_model() -> None:
    torch.manual_seed(0)
    model = mm.DLRMModel(click_schema().excluding(["rating", "weight"]), embedding_dim=4, bottom=[8], top=[6])
    tree = tree_of(model)
    assert tree.name == "Model"
    assert tree.note == f"{sum(p.numel() for p in model.parameters()):,} parameters"
    assert tree.inside[-1].name == "BinaryOutput"
    names = [tree.name]
    for node in (stack := [*tree.inside]):
        names.append(node.name)
        stack += node.inside
    svg = ET.fromstring(drawing(model))
    drawn = [one.text for one in svg.iter("text") if one.get("class") == "name"]
    assert sorted(drawn) == sorted(names)  # type: ignore[type-var]
    notes = " ".join(one.text or "" for one in svg.iter("text"))
    assert "B × 6" in notes


def test_many_blocks_are_cut() -> None:
    inputs = mm.TabularInputBlock(click_schema().select_by_name(["user_id", "age"]), embedding_dim=4)
    layers = [torch.nn.Linear(4, 4) for _ in range(80)]
    model = mm.Model(inputs, mm.MLPBlock([4]), *layers, mm.BinaryOutput("click"))
    assert "more</text>" in drawing(model)
    ET.fromstring(drawing(model))


def test_text_is_escaped_cut_and_without_control_characters() -> None:
    assert text("<a href='x'>\x00\ud800&") == "&lt;a href=&#x27;x&#x27;&gt;\ufffd\ufffd&amp;"
    assert label("x" * 60) == "x" * 47 + "…"
    assert text(None) == "None"


def test_tables_and_legends_hold_text_only() -> None:
    for part in (table(["<h>", "b"], [["<r>", "<c>"]], caption="<q>"), legend(["<l>"])):
        root = ET.fromstring(part)
        assert {"<h>", "<r>", "<c>", "<q>", "<l>"} & {one.text for one in root.iter()} or "<l>" in "".join(
            root.itertext()
        )


def test_a_page_is_written_whole_or_not(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    page = document(title="T", summary="S", tiles=[], sections=[])
    path = write_page(page, tmp_path / "new" / "page.html")
    assert path.read_text(encoding="utf-8") == page
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_page("half", path)
    assert path.read_text(encoding="utf-8") == page
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]
