"""Every format reads into the same records; every line that does not read is named."""

from __future__ import annotations

import json

import pyarrow
import pyarrow.parquet
import pytest

from interlace.errors import DataError, MissingFileError
from interlace.tasks.tables import FORMATS, Layout, read_table

ROWS = [{"a": "x", "b": 'say "hi", é'}, {"a": "", "b": "2"}]


def write(folder, suffix, rows=ROWS):
    file = folder / f"data{suffix}"
    if suffix in (".jsonl", ".ndjson"):
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf-8")
    elif suffix == ".json":
        file.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    elif suffix == ".csv":
        file.write_text('a,b\nx,"say ""hi"", é"\n,2\n', encoding="utf-8-sig")
    else:
        file.write_text('a\tb\r\nx\tsay "hi", é\r\n\t2\r\n', encoding="utf-8")
    return file


def values(file, layout=None):
    return [dict(record.values) for record in read_table(file, layout)]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_holds_the_same_rows(tmp_path, suffix):
    assert values(write(tmp_path, suffix)) == ROWS
    assert [record.index for record in read_table(str(tmp_path / f"data{suffix}"))] == [0, 1]


def test_places_name_the_line(tmp_path):
    file = tmp_path / "data.csv"
    file.write_text('a,b\n1,"two\nlines"\n\n3,4\n')
    assert [record.place for record in read_table(file)] == [f"{file}:3", f"{file}:5"]


def test_ragged_objects_are_completed(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"a": 1}\n{"b": [2]}\n')
    assert values(tmp_path / "data.jsonl") == [{"a": 1, "b": None}, {"a": None, "b": [2]}]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(header=False), [{"0": "p", "1": "q"}, {"0": "1", "1": "2"}]),
        (Layout(header=False, columns=("x", "y")), [{"x": "p", "y": "q"}, {"x": "1", "y": "2"}]),
        (Layout(columns=("x", "y")), [{"x": "1", "y": "2"}]),
        (Layout(), [{"p": "1", "q": "2"}]),
    ],
)
def test_columns_are_named_by_the_header_by_the_user_or_by_position(tmp_path, layout, expected):
    (tmp_path / "data.tsv").write_text("p\tq\n1\t2\n")
    assert values(tmp_path / "data.tsv", layout) == expected


def test_quotes_are_read_in_csv_and_kept_in_tsv_unless_told_otherwise(tmp_path):
    (tmp_path / "data.tsv").write_text('a\n"x"\n')
    (tmp_path / "data.csv").write_text('a\n"x"\n')
    assert values(tmp_path / "data.tsv") == values(tmp_path / "data.csv", Layout(quotes=False)) == [{"a": '"x"'}]
    assert values(tmp_path / "data.csv") == values(tmp_path / "data.tsv", Layout(quotes=True)) == [{"a": "x"}]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
def test_an_empty_file_has_no_rows(tmp_path, suffix):
    (tmp_path / f"data{suffix}").write_text("")
    assert read_table(tmp_path / f"data{suffix}") == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.jsonl", b'{"a": 1}\n{"a": \n', "{f}:2 must be JSON. Got Expecting value at column 7. Correct the line."),
        ("d.jsonl", b'{"a": 1}\n\n[1]\n', "{f}:3 must be an object of column to value. Got list. Correct the line."),
        (
            "d.json",
            b'[{"a": 1},\n 2 3]',
            "{f}:2 must be JSON. Got Expecting ',' delimiter at column 4. Correct the line.",
        ),
        ("d.json", b'{"a": 1}', "{f} must hold a list of objects. Got dict. Use .jsonl for one a line."),
        ("d.json", b"[1]", "{f} item 0 must be an object of column to value. Got int. Correct the line."),
        (
            "d.csv",
            b"a,b\n1,2\n1\n",
            "{f}:3 must have 2 fields (a, b). Got 1. Correct the line, or set header and columns.",
        ),
        ("d.csv", b'a\n"b" c\n', "{f}:2 must be delimited text. Got ',' expected after '\"'. Correct the line."),
        ("d.csv", b"a,a\n1,2\n", "{f}: columns must have different names. Got a, a. Rename one."),
        ("d.tsv", b"a\nb\n\xff\n", "{f}:3 must be UTF-8. Got byte 0xff. Convert the file."),
        (
            "d.xlsx",
            b"",
            "{f} must end with one of .jsonl, .ndjson, .json, .parquet, .csv, .tsv. Got '.xlsx'. Convert the file.",
        ),
    ],
)
def test_what_does_not_read_is_answered_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name)
    assert str(caught.value) == message.replace("{f}", str(tmp_path / name))


def test_a_parquet_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "d.parquet").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"d\.parquet must be a Parquet file\. Got .* Write it again\."):
        read_table(tmp_path / "d.parquet")


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(MissingFileError) as caught:
        read_table(tmp_path / "no.csv")
    assert str(caught.value) == f"data file {tmp_path / 'no.csv'} must exist. Got none in {tmp_path}. Correct the path."
