"""A page about a model shows what is so: figures computed by hand, for every kind of model."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import lightning
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import merlin_models_torch as mm
from merlin_models_torch.data.source import ParquetSource
from merlin_models_torch.reporting import page as pages
from tests.unit.clicks import click_schema, click_table
from tests.unit.schemas import categorical, session_schema
from tests.unit.sessions import session_model, session_table

HOSTILE = "<script>alert('1')</script>\"&\x00" + "x" * 80


def tree(page: Path) -> ET.Element:
    return ET.fromstring(page.read_text(encoding="utf-8").split("\n", 1)[1])


def section(page: Path, name: str) -> ET.Element:
    found = tree(page).find(f".//section[@aria-labelledby='{name}']")
    assert found is not None, name
    return found


def sections(page: Path) -> list[str]:
    return [one.get("aria-labelledby", "") for one in tree(page).iter("section")]


def rows(part: ET.Element) -> dict[str, list[str]]:
    """Cells of the tables of a section by the first of each row."""
    lines = [["".join(cell.itertext()) for cell in row] for row in part.iter("tr")]
    return {first: cells for first, *cells in lines}


def words(part: ET.Element) -> str:
    return " ".join("".join(part.itertext()).split())


def of_a_trainer(model: mm.Model, loader: mm.ParquetLoader) -> dict[str, float]:
    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    return dict(trainer.test(model, loader, verbose=False)[0])


@pytest.fixture(scope="module")
def model() -> mm.Model:
    torch.manual_seed(0)
    words = mm.Vocabulary(pa.array([f"item {n}" for n in range(2, 31)]))
    made = session_model(metrics=("recall", "ndcg", "mrr", "coverage"), top_ks=(1, 5, 10)).eval()
    made.vocabularies = {"item_id": words}
    return made


@pytest.fixture(scope="module")
def page(model: mm.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model of sessions, with all that there can be on it."""
    curves = {"train_loss": [(1, 3.0), (2, 2.5)], "val_loss": [(2, 2.75)], "val_recall_at_5": [(2, 0.5)]}
    return mm.report(
        model,
        session_table(60),
        tmp_path_factory.mktemp("report"),
        curves=curves,
        popularity=session_table(90, seed=5),
        category="category",
        top_ks=(1, 5, 10),
        names={"item 7": "seventh"},
        batch_size=16,
    )


class TestSessions:
    def test_it_has_a_section_for_each_thing(self, page: Path) -> None:
        assert sections(page) == [
            "quality",
            "length",
            "popularity",
            "learning",
            "sessions",
            "map",
            "blocks",
            "made",
        ]

    def test_measures_are_those_of_a_test(self, page: Path, model: mm.Model) -> None:
        loader = mm.ParquetLoader(session_table(60), model.schema, batch_size=60)
        figures = of_a_trainer(model, loader)
        found = rows(section(page, "quality"))
        names = ["recall", "ndcg", "mrr", "coverage"]
        wanted = [figures[f"test_{name}_at_{k}"] for name in names for k in (1, 5, 10)]
        assert found["this model"] == [f"{value:.4f}" for value in wanted]

    @pytest.mark.parametrize("name", ["length", "popularity"])
    def test_groups_partition_the_targets(self, page: Path, model: mm.Model, name: str) -> None:
        """Their means, weighed by their targets, are the mean of all."""
        groups = [
            [float(cell.replace(",", "")) for cell in row]
            for row in list(rows(section(page, name)).values())[1:]
        ]
        assert sum(group[0] for group in groups) == 60
        assert len(groups) >= 4
        whole = rows(section(page, "quality"))["this model"]
        for place, column in ((1, 2), (2, 5), (3, 8)):
            mean = sum(group[0] * group[place] for group in groups) / 60
            assert mean == pytest.approx(float(whole[column]), abs=2e-4)

    def test_groups_hold_what_they_say(self, page: Path, model: mm.Model) -> None:
        """Recall of sessions of a length, from predictions for the sessions without their last items."""
        table = session_table(60)
        shorter = {
            name: [r[:-1] if isinstance(r, list) else r for r in table[name].to_pylist()]
            for name in table.column_names
        }
        answers = model.predict(shorter, k=10)["item_id"].to_pylist()
        targets = [row[-1] for row in table["item_id"].to_pylist()]
        lengths = [len(row) - 1 for row in table["item_id"].to_pylist()]
        decoded = model.vocabularies["item_id"].decode(targets).to_pylist()
        hits = [wanted is not None and wanted in row for row, wanted in zip(answers, decoded, strict=True)]
        found = rows(section(page, "length"))
        for name, low, high in (
            ("1 item", 1, 1),
            ("2 items", 2, 2),
            ("3–5 items", 3, 5),
            ("6–10 items", 6, 10),
        ):
            own = [hit for hit, length in zip(hits, lengths, strict=True) if low <= length <= high]
            assert found[name][:2] == [str(len(own)), f"{sum(own) / len(own):.4f}"]

    def test_examples_are_whole_sessions_less_what_came_next(self, page: Path, model: mm.Model) -> None:
        cards = [words(card) for card in section(page, "sessions").iter("article")]
        assert len(cards) == 4
        table = session_table(60)
        for card in cards:
            number = int(
                re.findall(r"session user (\d+)", card)[0]
                if "user" in card
                else re.findall(r"of row (\d+)", card)[0]
            )
            items = model.vocabularies["item_id"].decode(table["item_id"][number].as_py()).to_pylist()
            *before, last = ["unknown" if item is None else item for item in items]
            assert f"came next: {last}" in card
            assert all(item in card for item in before)

    def test_attention_is_the_models(self, page: Path, model: mm.Model) -> None:
        table = session_table(60)
        card = next(section(page, "sessions").iter("article"))
        number = int(re.findall(r"of row (\d+)", words(card))[0])
        row = {
            name: [r[:-1] if isinstance(r, list) else r for r in table.slice(number, 1)[name].to_pylist()]
            for name in model.schema.column_names
        }
        batch = next(iter(mm.ParquetLoader(row, model.schema, batch_size=1)))
        (layers,) = mm.attention_weights(model, batch).values()
        wanted = [f"{share:.3f}" for share in layers[-1][0].mean(0).flatten().tolist()]
        cells = [title.text or "" for title in card.iterfind(".//svg/rect/title")]
        assert [cell.rpartition(": ")[2] for cell in cells] == wanted

    def test_the_map_has_each_item_once_with_its_name(self, page: Path) -> None:
        popular = session_table(90, seed=5)["item_id"].combine_chunks().flatten().to_pylist()
        titles = [title.text for title in section(page, "map").iterfind(".//circle/title")]
        wanted = {f"item {code}" for code in popular if code > 1}
        assert {title.replace(" seventh", "") for title in titles if title} == wanted
        assert "item 7 seventh" in titles
        assert len(titles) == len(wanted)

    def test_blocks_are_drawn_with_their_shapes(self, page: Path, model: mm.Model) -> None:
        text = words(section(page, "blocks"))
        count = sum(parameter.numel() for parameter in model.parameters())
        for wanted in (
            "TabularInputBlock",
            "TransformerBlock",
            "CategoricalOutput",
            f"{count:,} parameters",
            "B × T × 16",
        ):
            assert wanted in text

    def test_the_same_gives_the_same_page(self, model: mm.Model, tmp_path: Path) -> None:
        one, other = (
            mm.report(model, session_table(9), tmp_path / name, batch_size=size).read_text()
            for name, size in (("a", 9), ("b", 9))
        )
        assert one == other

    def test_the_models_mode_and_weights_stay(self, model: mm.Model, tmp_path: Path) -> None:
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.train()
        mm.report(model, session_table(9), tmp_path)
        assert model.training
        model.eval()
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


class _Parser(HTMLParser):
    """Counts what is open, and keeps what stands in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes += attrs

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class TestPage:
    def test_it_needs_nothing_from_outside(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        parser = _Parser()
        parser.feed(text)
        assert not parser.open
        assert not parser.tags & {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "image",
            "use",
            "a",
            "form",
            "base",
        }
        assert not {name for name, _ in parser.attributes} & {"src", "href", "style", "srcset"}
        assert not any(name.startswith("on") for name, _ in parser.attributes)
        assert not re.search(r"https?:|//|url\(|@import", text)

    def test_hostile_ids_and_names_stay_text(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = session_model().eval()
        model.vocabularies = {
            "item_id": mm.Vocabulary(pa.array([f"{HOSTILE[:27]}{n}" for n in range(2, 31)]))
        }
        table = session_table(20).append_column(
            "kind", pa.array([[HOSTILE] * len(r) for r in session_table(20)["item_id"]])
        )
        page = mm.report(
            model,
            table,
            tmp_path,
            category="kind",
            names={f"{HOSTILE[:27]}4": HOSTILE},
            title=HOSTILE,
            curves={HOSTILE: [(0, 1.0), (1, 2.0)]},
        )
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text.lower()
        assert "&lt;script&gt;alert" in text
        assert HOSTILE[-60:] in text  # the title is not cut, its end is plain
        assert len(list(tree(page).iter("circle"))) > 5
        assert "\x00" not in text

    def test_nothing_is_left_when_writing_fails(
        self, model: mm.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mm.report(model, session_table(5), tmp_path, title="old")
        old = (tmp_path / "report.html").read_text()

        def fails(self: Path, *args: Any, **options: Any) -> int:
            self.write_bytes(b"half")
            raise OSError("no space left on device")

        monkeypatch.setattr(pages.Path, "write_text", fails)
        with pytest.raises(OSError, match="no space left"):
            mm.report(model, session_table(5), tmp_path, title="new")
        assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
        assert (tmp_path / "report.html").read_text() == old


class TestOtherModels:
    def test_clicks_and_ratings(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = mm.MultiTaskModel(click_schema().excluding(["weight"]), embedding_dim=4).eval()
        page = mm.report(model, click_table(200), tmp_path, batch_size=64)
        loader = mm.ParquetLoader(click_table(200), click_schema(), batch_size=200)
        figures = of_a_trainer(model, loader)
        clicks, ratings = rows(section(page, "clicks-0")), rows(section(page, "numbers-1"))
        for name in ("log loss", "accuracy", "precision", "recall"):
            assert clicks[name] == [f"{figures['test_click_' + name.replace(' ', '_')]:.4f}"]
        assert float(clicks["AUC"][0]) == pytest.approx(figures["test_click_auc"], abs=1e-4)
        for name in ("mse", "rmse", "mae"):
            assert ratings[name.upper()] == [f"{figures['test_rating_' + name]:.4f}"]
        assert len(list(section(page, "numbers-1").iter("circle"))) == 200
        missing = words(section(page, "missing"))
        assert "the model names no items" in missing
        assert "Curves of training: pass curves=" in missing
        assert len(list(section(page, "map").iter("circle"))) == 9

    def test_two_towers(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        schema = click_schema().select_by_name(["user_id", "item_id", "age"])
        output = mm.TwoTowerOutput(
            schema["item_id"], metrics=("recall", "ndcg", "mrr", "coverage"), top_ks=(1, 3)
        )
        model = mm.TwoTowerModel(
            schema, query=[mm.Tags.USER, "age"], embedding_dim=6, units=[8, 4], output=output
        ).eval()
        page = mm.report(model, click_table(80), tmp_path, top_ks=(1, 3), batch_size=32)
        figures = of_a_trainer(model, mm.ParquetLoader(click_table(80), schema, batch_size=30))
        names = ["recall", "ndcg", "mrr", "coverage"]
        wanted = [f"{figures[f'test_{name}_at_{k}']:.4f}" for name in names for k in (1, 3)]
        assert rows(section(page, "quality"))["this model"] == wanted
        assert "length" not in sections(page)
        assert "no body of the model has attention weights" in words(section(page, "missing"))

    @pytest.mark.parametrize("kind", ["gru", "random masking", "sets", "items and clicks", "classes"])
    def test_any_model_gets_a_page(self, kind: str, tmp_path: Path) -> None:
        torch.manual_seed(0)
        schema = session_schema()
        table = session_table(30)
        if kind == "gru":
            inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.CausalMasking())
            model = mm.Model(inputs, mm.GRUBlock(8), mm.CategoricalOutput())
        elif kind == "random masking":
            model = session_model(mm.RandomMasking(probability=0.4), body="xlnet")
        elif kind == "sets":
            basket = categorical("basket", 30, mm.Tags.TARGET, domain="item_id")
            inputs = mm.TabularInputBlock(schema, embedding_dim=8)
            body = mm.GRUBlock(8, bidirectional=True)
            model = mm.Model(inputs, body, mm.CategoricalOutput(target=basket, weight_tying=True))
            table = table.append_column("basket", pa.array([[3, 4], [5], []] * 10, pa.list_(pa.int64())))
        elif kind == "items and clicks":
            inputs = mm.TabularInputBlock(schema, embedding_dim=8, masking=mm.CausalMasking())
            outputs = mm.TabularOutputBlock([mm.CategoricalOutput(top_ks=(3,)), mm.BinaryOutput("click")])
            model = mm.Model(inputs, mm.GRUBlock(8), outputs)
            table = table.append_column("click", pa.array([0, 1] * 15))
        else:
            output = mm.ClassificationOutput("category_of_last", classes=8)
            inputs = mm.TabularInputBlock(schema, embedding_dim=8)
            model = mm.Model(inputs, mm.GRUBlock(8, bidirectional=True), output)
            last = [row[-1] for row in table["category"].to_pylist()]
            table = table.append_column("category_of_last", pa.array(last))
        found = sections(mm.report(model.eval(), table, tmp_path))
        wanted = {
            "gru": {"quality", "length", "popularity", "sessions", "map"},
            "random masking": {"quality", "length", "popularity", "sessions", "map"},
            "sets": {"quality", "length", "sessions", "map"},
            "items and clicks": {"quality-0", "length-0", "popularity-0", "clicks-1", "sessions", "map"},
            "classes": {"numbers"},
        }
        assert wanted[kind] <= {*found}

    def test_a_model_without_items(self, tmp_path: Path) -> None:
        inputs = mm.TabularInputBlock(click_schema().select_by_name(["user_id", "age"]), embedding_dim=4)
        model = mm.Model(inputs, nn.LazyLinear(4), mm.BinaryOutput("click"))
        page = mm.report(model, click_table(30), tmp_path)
        assert sections(page) == ["clicks", "blocks", "missing", "made"]
        assert "Map of the items" in words(section(page, "missing"))


def test_sessions_files_bring_their_training_rows(tmp_path: Path) -> None:
    events = mm.data.generate_sessions(60, 25, clusters=2, seed=0)
    files = mm.data.sessions_from_events(events, tmp_path / "sessions", user="session_id", time="timestamp")
    torch.manual_seed(0)
    model = mm.SessionModel(files, dim=8, layers=1, max_sequence_length=20)
    pages = [
        mm.report(model, data, tmp_path / f"{number}").read_text()
        for number, data in enumerate(
            (
                files,
                tmp_path / "sessions",
                mm.SessionDataModule(files, batch_size=8),
                str(tmp_path / "sessions"),
            )
        )
    ]
    assert pages[0] == pages[1] == pages[2] == pages[3]
    assert "counted in the training data" in pages[0]
    loader = mm.ParquetLoader(files.test, files.schema, batch_size=7, shuffle=True)
    own = mm.report(model, loader, tmp_path / "loader", popularity=files.train).read_text()
    assert rows(section(tmp_path / "loader" / "report.html", "quality")) == rows(
        section(tmp_path / "0" / "report.html", "quality")
    )
    assert "of test.parquet" in own


def test_sessions_of_one_item_count_for_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = session_model().eval()
    table = session_table(40, shortest=1)
    counted = sum(len(row) > 1 for row in table["item_id"].to_pylist())
    assert counted < 40
    page = mm.report(model, table, tmp_path, batch_size=8)
    lines = list(rows(section(page, "length")).values())[1:]
    assert sum(int(line[0]) for line in lines) == counted
    alone = mm.report(model, session_table(6, shortest=1, longest=1), tmp_path / "alone")
    assert "next_item: nothing was measured, as no row has a label" in words(section(alone, "missing"))
    assert "quality" not in sections(alone)


def test_mistakes_are_told(tmp_path: Path) -> None:
    model, table = session_model(), session_table(6)
    with pytest.raises(ValueError, match="examples is -1, expected 0 or more"):
        mm.report(model, table, tmp_path, examples=-1)
    with pytest.raises(ValueError, match=r"top_ks is \(40,\), but there are 30 items that can be answers"):
        mm.report(model, table, tmp_path, top_ks=(40,))
    with pytest.raises(
        ValueError, match="popularity of items is counted in column 'item_id', and the data has"
    ):
        mm.report(model, table, tmp_path, popularity=table.select(["country"]))
    with pytest.raises(
        ValueError, match=r"column 'item_id' of the table has item 31, but the catalogue has rows"
    ):
        mm.report(model, table, tmp_path, popularity=pa.table({"item_id": [31]}))
    with pytest.raises(
        ValueError, match="category of items is looked up by 'item_id' in 'kind', and the data"
    ):
        mm.report(model, table, tmp_path, category="kind")
    with pytest.raises(ValueError, match="column 'country' of the table has no lists as long as those of"):
        mm.report(model, table, tmp_path, category="country")
    assert not (tmp_path / "report.html").exists()


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read row group by row group, a batch at a time."""
    torch.manual_seed(0)
    model = mm.DCNModel(click_schema().excluding(["weight"]), embedding_dim=4)
    pq.write_table(click_table(3000), tmp_path / "clicks.parquet", row_group_size=100)
    own, largest = ParquetSource.read, 0

    def counted(self: Any, part: Any, columns: Any) -> pa.Table:
        nonlocal largest
        table = own(self, part, columns)
        largest = max(largest, table.num_rows)
        return table

    monkeypatch.setattr(ParquetSource, "read", counted)
    mm.report(model, tmp_path / "clicks.parquet", tmp_path / "out", batch_size=64)
    assert largest == 100
