"""MovieLens-100K: files in its format are read to clicks in order of time."""

from pathlib import Path

from merlin_models_torch.examples.ml_100k import read_events, schema_of


def test_events_find_their_user_and_film(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("2\t1\t5\t300\n1\t2\t3\t100\n")
    (tmp_path / "u.user").write_text("1|20|M|writer|1\n2|50|F|other|2\n")
    flags = {1: [0, 1, 1, *[0] * 16], 2: [1, *[0] * 18]}
    rows = [f"{i}|Film|01-Jan-1995||url|" + "|".join(map(str, values)) for i, values in flags.items()]
    (tmp_path / "u.item").write_text("\n".join(rows) + "\n")
    events = read_events(tmp_path)
    assert events["click"].to_pylist() == [0, 1]
    assert events["genres"].to_pylist() == [[1], [2, 3]]
    assert [round(age, 4) for age in events["age"].to_pylist()] == [0.2, 0.5]
    assert len(set(events["gender"].to_pylist())) == 2
    assert schema_of(events).column_names == [
        "user_id",
        "item_id",
        "gender",
        "occupation",
        "genres",
        "age",
        "click",
    ]
