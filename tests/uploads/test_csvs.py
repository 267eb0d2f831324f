"""Tables as people write them: numbers, encodings, what stands above, keys, words, labels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.uploads.checking import Chosen, check_table, rows_of
from paretoscope.uploads.csvs import MOST_COLUMNS, Reading, Table, read_csv
from paretoscope.uploads.decoding import ENCODINGS, find_encoding
from paretoscope.uploads.numerals import AmbiguousNumbersError, Decimal, numerals
from paretoscope.uploads.roles import guess_label, row_keys
from paretoscope.uploads.tables import read_table

RNG = np.random.default_rng(0)
SPACES = (" ", "\u00a0", "\u202f", "\u2009")


def _table(text: str, **reading: Any) -> Table:
    return read_csv(text.encode(), Reading(**reading))


def _values(table: Table, name: str) -> list[float]:
    values = table.column(name).values
    assert values is not None
    return values.tolist()


# --- numbers ----------------------------------------------------------------------------------


def _written(value: int, fraction: str, decimal: str, mark: str) -> str:
    """A number as a locale writes it, by Python's own grouping."""
    whole = f"{value:,}".replace(",", mark)
    return f"{whole}{decimal}{fraction}" if fraction else whole


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.text("0123456789", max_size=4)), min_size=1, max_size=9
    ),
    st.sampled_from([(".", ","), (",", "."), *((d, m) for d in ".," for m in (*SPACES, "'", "’"))]),
    st.booleans(),
)
def test_numbers_are_read_as_they_were_written_or_asked_about(
    numbers: list[tuple[int, str]], marks: tuple[str, str], negative: bool
) -> None:
    """Never as other numbers, whatever stands in the column."""
    decimal, mark = marks
    sign = "-" if negative else ""
    wanted = {
        sign + _written(whole, fraction, decimal, mark): float(f"{sign}{whole}.{fraction or 0}")
        for whole, fraction in numbers
    }
    read = numerals(list(wanted)).readings
    name: Decimal = "point" if decimal == "." else "comma"
    if len(read) == 1 and name not in read:  # both readings are the same numbers
        name = "point"
    assert read[name] == wanted
    if len(read) == 2:
        assert read["point"] != read["comma"]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["12,34,567", "1,00,000.5"], [1_234_567, 100_000.5]),  # as in India
        (["1'234.5", "7"], [1_234.5, 7]),
        (["\u221212", "3"], [-12, 3]),  # the minus of typesetters
        (["1.234.567", "0,5"], [1_234_567, 0.5]),
        (["1 234,5", "−0,25"], [1_234.5, -0.25]),
        (["0.125", "1.234"], [0.125, 1.234]),  # no group of thousands begins with 0
        ([".5", "1e-3"], [0.5, 0.001]),
    ],
)
def test_one_cell_can_tell_how_its_column_is_written(cells: list[str], values: list[float]) -> None:
    rows = "".join(f"{cell};x\n" for cell in cells)
    assert _values(_table(f"a;y\n{rows}"), "a") == values


@pytest.mark.parametrize("cell", ["1,234 567", "12.34.567", "1,23,45", "1 23", "01.234.5"])
def test_what_no_locale_writes_is_no_number(cell: str) -> None:
    assert not numerals([cell]).readings


def test_other_columns_tell_the_decimal_mark() -> None:
    table = _table("n;x;y\n56.705;16,62;a\n891;2,5;b\n")
    assert _values(table, "n") == [56_705, 891]
    assert any("points stand between thousands: '56.705' in 'n'" in n for n in table.notes)
    table = _table('n,x,y\n"56,705",16.62,a\n891,2.5,b\n')
    assert _values(table, "n") == [56_705, 891]


@pytest.mark.parametrize(("decimal", "value"), [("point", 1.234), ("comma", 1_234)])
def test_where_nothing_tells_the_person_does(
    decimal: Decimal, value: float, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "a;b;y\n1.234;5.678;p\n912;3.400;q\n"
    with pytest.raises(AmbiguousNumbersError, match=r"'1\.234' is 1\.234 or 1234") as caught:
        _table(text)
    assert [c.column for c in caught.value.columns] == ["a", "b"]
    assert _values(_table(text, decimal=decimal), "a") == [value, 912]
    (tmp_path / "t.csv").write_text(text)
    assert main(["check", str(tmp_path / "t.csv")]) == 2
    assert "--decimal point, or --decimal comma" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "t.csv"), "--decimal", decimal]) == 0


def test_what_a_program_wrote_has_points() -> None:
    frame = pd.DataFrame({"a": [1.234, 912.0], "b": [5.678, 3.4], "y": ["p", "q"]})
    out = io.BytesIO()
    frame.to_parquet(out)
    assert _values(read_table(out.getvalue()), "a") == [1.234, 912.0]


@pytest.mark.parametrize("words", ["True False", "TRUE FALSE", "yes no", "Yes NO", "y n", "T F"])
def test_words_for_true_and_false_are_numbers_as_features(words: str) -> None:
    yes, no = words.split()
    table = _table(f"a,b,y\n1,{yes},{yes}\n2,{no},{no}\n3,,{yes}\n")
    np.testing.assert_array_equal(_values(table, "b"), [1, 0, np.nan])
    rows, _ = rows_of(table)
    assert set(rows.classes) == {yes, no}  # a label keeps its words
    assert [n for n in rows.notes if "true is 1" in n] == ["true is 1 and false is 0 in b"]


@pytest.mark.parametrize("cells", ["yes,maybe", "y,y", "true,yes", "t,f2"])
def test_other_words_stay_words(cells: str) -> None:
    a, b = cells.split(",")
    assert _table(f"a,b,y\n1,{a},0\n2,{b},1\n").column("b").kind == "text"


# --- encodings --------------------------------------------------------------------------------

TEXTS = {
    "cp1252": "größe,art\n1,schön\n2,größer\n3,voilà déjà\n",
    "cp1250": "délka,druh\n1,růže\n2,žluťoučký kůň\n",
    "cp1251": "длина,вид\n1,кошка\n2,собака\n",
    "koi8_r": "длина,вид\n1,кошка\n2,собака\n",
    "cp1253": "μήκος,είδος\n1,γάτα\n2,σκύλος\n",
    "cp932": "長さ,種類\n1,ヒオウギ\n2,ブルーフラッグ\n",
    "gb18030": "长度,种类\n1,山鸢尾\n2,变色鸢尾\n",
    "big5": "長度,種類\n1,玫瑰\n2,百合\n",
    "cp949": "길이,종류\n1,장미\n2,백합\n",
    "utf-16": "größe,art\n1,schön\n2,größer\n",
    "utf-8": "größe,art\n1,schön\n2,größer\n",
}


@pytest.mark.parametrize("n", [1, 30])
@pytest.mark.parametrize("encoding", TEXTS)
def test_an_encoding_is_recognised_and_said(encoding: str, n: int) -> None:
    text = TEXTS[encoding] * n
    table = read_csv(text.encode(encoding))
    assert table.encoding == encoding
    assert table.names == text.split("\n", 1)[0].split(",")
    title = ENCODINGS[encoding].split(",")[0]
    assert any(title in note for note in table.notes) == (encoding != "utf-8")


def test_an_encoding_that_was_chosen_is_kept_to() -> None:
    data = TEXTS["koi8_r"].encode("koi8_r")
    assert read_csv(data, Reading("KOI8-R")).names == ["длина", "вид"]
    with pytest.raises(ParetoscopeError, match="no text in UTF-8: byte 0 cannot be read"):
        read_csv(data, Reading("utf8"))
    for name in ("rot13", "zip", "idna", "no such"):
        with pytest.raises(ParetoscopeError, match="is not known; known are utf-8"):
            find_encoding(name)


def test_bytes_of_no_encoding_get_a_sentence_about_the_file() -> None:
    with pytest.raises(ParetoscopeError, match=r"not recognised: save it as UTF-8"):
        read_csv(b"a,y\n" + bytes(range(128, 256)) * 3 + b",1\n")


# --- what stands above, and headers -----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\na;b;y\n1;2;p\n3;4;q\n",
        '"sep=;"\r\na;b;y\r\n1;2;p\r\n3;4;q\r\n',
        "SEP=|\n\na|b|y\n1|2|p\n3|4|q\n",
        "sep=\\t\na\tb\ty\n1\t2\tp\n3\t4\tq\n",
        "# from a machine\n# in 2026, by hand\na,b,y\n1,2,p\n3,4,q\n",
        "# measured, again\n# a,b,y\n1,2,p\n3,4,q\n",
        "\n\na,b,y\n1,2,p\n\n3,4,q\n",
        "a,b,y,\n1,2,p,\n3,4,q,\n",  # a separator too many in every line
        "a,b,y\n1,2,p,\n3,4,q,\n",
    ],
)
def test_what_stands_around_a_table_is_left_out(text: str) -> None:
    table = _table(text)
    rows, _ = rows_of(table)
    assert (rows.features, rows.label, rows.classes) == (("a", "b"), "y", ("p", "q"))
    np.testing.assert_array_equal(rows.X, [[1, 2], [3, 4]])


def test_lines_are_counted_from_the_top_of_the_file() -> None:
    with pytest.raises(ParetoscopeError, match="line 5 has 2 fields"):
        _table("sep=;\n# a comment\na;b;y\n1;2;p\n3;4\n")


def test_a_first_column_called_like_a_comment_is_a_header() -> None:
    assert _table("#,name,hp\n1,Bulbasaur,45\n2,Ivysaur,60\n").names == ["#", "name", "hp"]


@pytest.mark.parametrize(
    ("text", "names", "n_rows"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,3.3,virginica\n", 3, 3),
        ("5.1,3.5,0\n4.9,3.0,1\n", 3, 2),
        ("0,1,2,label\n5,6,7,a\n1,2,3,b\n", ["0", "1", "2", "label"], 2),
        ("0,1,2\n5,6,7\n", ["0", "1", "2"], 1),  # numbered by a program
        ("2019,2020,2021\n5,6,7\n", ["2019", "2020", "2021"], 1),
        ("2019,2021,kind\n5,6,a\n1,2,b\n", ["2019", "2021", "kind"], 2),
        ("a,,y\n1,2,p\n", ["a", "column 2", "y"], 1),
    ],
)
def test_a_first_line_of_values_is_a_row(text: str, names: Any, n_rows: int) -> None:
    table = _table(text)
    if isinstance(names, int):
        names = [f"column {k + 1}" for k in range(names)]
        assert any("the first line holds values" in note for note in table.notes)
    assert table.names == names
    assert table.n_rows == n_rows


def test_colour_images_fit_and_20_000_columns_do_not() -> None:
    assert 3 * 28 * 28 + 1 < MOST_COLUMNS < 20_000
    header = ",".join(f"p{k}" for k in range(3 * 28 * 28)) + ",y"
    row = ",".join(["7"] * 3 * 28 * 28)
    assert len(_table(f"{header}\n{row},a\n{row},b\n").names) == 2_353
    with pytest.raises(ParetoscopeError, match="second moments fill 1 GB"):
        _table(",".join(f"p{k}" for k in range(20_001)) + "\n")


# --- which column is what ---------------------------------------------------------------------


def _keyed(name: str, keys: Any, n: int = 40) -> Table:
    frame = pd.DataFrame({name: keys, "a": RNG.normal(size=n), "b": RNG.normal(size=n)})
    frame["species"] = np.arange(n) * 2 // n
    return _table(frame.to_csv(index=False))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Unnamed: 0", range(40)),
        ("", range(1, 41)),
        ("index", range(10, 50)),
        ("__index_level_0__", RNG.permutation(40)),
        ("nobody's name", RNG.permutation(40) * 5),
        ("PassengerId", RNG.permutation(900)[:40]),
        ("customer_id", RNG.permutation(90_000)[:40]),
        ("Kundennummer", 100_000 + RNG.permutation(800_000)[:40]),
        ("when", np.cumsum(RNG.integers(1, 9, 40))),
        ("name", [f"row {k}" for k in range(40)]),
    ],
)
def test_a_column_that_numbers_or_names_the_rows_is_left_out_unless_kept(
    name: str, keys: Any
) -> None:
    table = _keyed(name, keys)
    own = name or "column 1"
    assert list(row_keys(table, "species")) == [own]
    rows, notes = rows_of(table)
    assert rows.features == ("a", "b")
    assert any(f"'{own}'" in note and "left out unless" in note for note in notes)
    if own != "name":
        assert rows_of(table, Chosen(keep=[own]))[0].features == (own, "a", "b")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weight", RNG.normal(size=40).round(3)),
        ("age", RNG.integers(18, 90, 40)),
        ("pixel", RNG.permutation(200)[:40]),  # different whole numbers, but of no order
        ("grid", [*range(39), 38]),
    ],
)
def test_a_measured_column_stays(name: str, values: Any) -> None:
    assert not row_keys(_keyed(name, values), "species")


def test_something_is_left_to_learn_from() -> None:
    table = _table("id,y\n" + "".join(f"{k},{k % 2}\n" for k in range(30)))
    assert rows_of(table)[0].features == ("id",)


def test_the_index_of_a_frame_is_no_feature() -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=30), "y": [0, 1] * 15})
    frame.index = pd.Index(RNG.permutation(30) * 7 + RNG.integers(0, 6, 30), name="run")
    out = io.BytesIO()
    frame.to_parquet(out)
    table = read_table(out.getvalue())
    assert row_keys(table, "y") == {"run": "is the table's index"}
    assert rows_of(table)[0].features == ("a",)


def test_text_of_few_values_becomes_a_column_for_each() -> None:
    text = "port,a,y\n" + "S,1,p\nC,2,q\nS,3,p\nQ,4,q\n,5,p\nC,6,q\n"
    _, notes = rows_of(_table(text))
    assert any("'port' has 3 different texts: as one-hot" in note for note in notes)
    rows, _ = rows_of(_table(text), Chosen(one_hot=["port"]))
    assert rows.features == ("port=C", "port=Q", "port=S", "a")
    wanted = pd.get_dummies(pd.read_csv(io.StringIO(text))["port"]).to_numpy(np.float32)
    np.testing.assert_array_equal(rows.X[:, :3], wanted)
    many = "word,a,y\n" + "".join(f"w{k},{k % 5},{k % 2}\n" for k in range(60))
    with pytest.raises(ParetoscopeError, match="60 different texts in 60 rows"):
        rows_of(_table(many), Chosen(one_hot=["word"]))


def test_the_label_is_guessed_by_name_by_a_models_classes_and_never_empty() -> None:
    table = _table("Survived,Age,Pclass,note\n0,22,3.5,\n1,38,1.5,\n1,26,3.5,\n")
    assert guess_label(table) == "Pclass"
    assert guess_label(table, ["0", "1"], 2) == "Survived"
    assert guess_label(table, (), 2) == "Pclass"
    named = _table("x,label,z\n0,a,5\n1,b,6\n")
    assert guess_label(named, ["0", "1"], 2) == "label"
    titanic = _table("class,survived,fare\nfirst,0,7\nsecond,1,8\nthird,1,9\n")
    assert guess_label(titanic, ["0", "1"], 2) == "survived"


def test_the_label_can_be_chosen(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("kind,a,b\nx,1,2.5\ny,3,4.5\n")
    assert main(["check", str(tmp_path / "t.csv"), "--label", "kind"]) == 0
    assert "label 'kind' with 2 classes (x, y), 2 features (a, b)" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "t.csv"), "--label", "nothing"]) == 2
    assert "there is no column 'nothing'" in capsys.readouterr().err


def test_one_class_alone_is_said() -> None:
    checked = check_table(b"a,y\n1,p\n2,p\n")
    assert any("with one class there is nothing to tell apart" in n for n in checked.notes)


# --- labels of two dimensions -----------------------------------------------------------------


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize("name", ["labels", "y", "Y_train", "onehot"])
def test_one_hot_labels_are_classes(name: str) -> None:
    y = RNG.integers(0, 3, 30)
    y[:3] = 0, 1, 2
    X = RNG.normal(size=(30, 4))
    rows, _ = rows_of(read_table(_npz(X=X, **{name: np.eye(3, dtype=np.uint8)[y]})))
    assert rows.classes == ("0", "1", "2")
    np.testing.assert_array_equal(rows.y, y)
    np.testing.assert_array_equal(rows.X, X.astype(np.float32))


def test_several_labels_a_row_are_refused_by_that_name() -> None:
    several = RNG.integers(0, 2, (30, 4))
    several[0] = 1
    with pytest.raises(ParetoscopeError, match=r"several labels a row \(multi-label, 4 columns\)"):
        read_table(_npz(images=RNG.normal(size=(30, 2, 2)), targets=several))
    with pytest.raises(ParetoscopeError, match="save the labels as one, named 'y'"):
        read_table(_npz(first=RNG.normal(size=(30, 2)), second=RNG.normal(size=(30, 3))))
