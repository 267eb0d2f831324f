"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import io
import os
import zipfile

from paretoscope.base.errors import ParetoscopeError
from paretoscope.base.zips import directory_size

UPLOAD_MB, _USUAL_MB = "PARETOSCOPE_UPLOAD_MB", "200"
_SHORT_BYTES = 1_000_000  # of a directory: some thousand names
MOST_TABLE_BYTES = 50_000_000  # of a table, which takes many times as much memory to read

# First bytes, and what a file that begins so is.
_BEGINS: tuple[tuple[bytes, str], ...] = (
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "7z"),
    (b"PAR1", "parquet"),
    (b"\x89HDF", "hdf5"),
    (b"%PDF", "pdf"),
    (b"\x89PNG", "picture"),
    (b"\xff\xd8\xff", "picture"),
    (b"GGUF", "gguf"),
    (b"\x93NUMPY", "npy"),
    (b"\xd0\xcf\x11\xe0", "excel"),
    (b"version https://git-lfs", "lfs"),
)
_TITLES = {
    "pickle": "a Python pickle; pickles are never loaded, whatever their name",
    "zip": "a ZIP archive (PyTorch .pt, .npz and .skops files are ones)",
    "gzip": "a gzip archive; unpack it first",
    "bzip2": "a bzip2 archive; unpack it first",
    "xz": "an xz archive; unpack it first",
    "7z": "a 7z archive; unpack it first",
    "parquet": "a Parquet table",
    "hdf5": "an HDF5 file, as Keras writes them; export the model to ONNX",
    "pdf": "a PDF document",
    "picture": "a picture",
    "gguf": "a GGUF file; export the model to ONNX",
    "npy": "a NumPy array; save features and labels as one .npz or CSV",
    "excel": "an Excel workbook; save it as CSV first",
    "lfs": "a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'",
    "html": "an HTML page (was the download a login or a 404 page?)",
    "json": "JSON",
    "pytorch": "a PyTorch file; export the model with torch.onnx.export(model, example, "
    "'model.onnx', external_data=False)",
    "keras": "a Keras file; export the model with model.export('model.onnx', format='onnx')",
    "tflite": "a TensorFlow Lite file; export the model it was made from to ONNX (tf2onnx reads "
    "both)",
    "safetensors": "a safetensors file, which holds weights and no network; export the model to "
    "ONNX",
    "ort": "a model in ONNX Runtime's own format; upload the .onnx it was made from",
}


def kind_of(data: bytes) -> str:
    """ "empty", a kind such as "zip" or "html", or "other".

    >>> kind_of(b"<!DOCTYPE html><html>"), kind_of(b"a,b\\n1,2\\n"), kind_of(b"")
    ('html', 'other', 'empty')
    """
    if not data:
        return "empty"
    for begin, kind in _BEGINS:
        if data.startswith(begin):
            first = data[30 : 30 + int.from_bytes(data[26:28], "little")]  # the first file's name
            if kind == "zip" and first.startswith((b"[Content_Types].xml", b"xl/", b"_rels/")):
                return "excel"
            return kind
    if data[4:8] == b"ORTM":
        return "ort"
    if data[4:8] == b"TFL3":
        return "tflite"
    if data[8:10] == b'{"' and int.from_bytes(data[:8], "little") <= len(data):
        return "safetensors"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "html"
    if start.startswith((b"{", b"[")):
        return "json"
    if data[:1] in b"(]c" and data.rstrip(b"\n").endswith(b".") and b"\n" in data[:80]:
        return "pickle"  # of protocol 0 and 1
    return "other"


def has_short_directory(data: bytes) -> bool:
    """Whether an archive may be read where pages are drawn."""
    size = directory_size(data)
    return size is None or size[1] <= _SHORT_BYTES


def most_bytes() -> int:
    """The largest model, or arrays beside one; .streamlit/config.toml lets as many through."""
    told = os.environ.get(UPLOAD_MB) or _USUAL_MB
    return 1_000_000 * int(told if told.isdecimal() else _USUAL_MB)


def require_size(n_bytes: int, most: int | None = None) -> None:
    """Refuse a file that is too large; by default for a model."""
    most = most_bytes() if most is None else most
    if n_bytes > most:
        raise ParetoscopeError(
            f"the file has {n_bytes / 1e6:,.1f} MB; at most {most / 1e6:.0f} MB are taken"
        )


def require(data: bytes, allowed: tuple[str, ...], wanted: str) -> None:
    """Refuse a file that is too large, empty, or of another kind than those allowed.

    Parameters
    ----------
    data : bytes
    allowed : tuple of str
        Kinds, "other" among them where the kind wanted has no first bytes of its own.
    wanted : str
        Such as "an ONNX model".
    """
    require_size(len(data))
    kind = kind_of(data)
    if kind == "empty":
        raise ParetoscopeError("the file is empty (0 bytes)")
    inner = _kind_of_zip(data) if kind == "zip" else kind
    if kind not in allowed or inner != kind:
        title = _TITLES.get(inner, "something else")
        if inner == "zip" and "table" in wanted:
            title = "a ZIP archive, perhaps an Excel workbook: save it as CSV first"
        raise ParetoscopeError(f"this is {title}; expected {wanted}")


def _kind_of_zip(data: bytes) -> str:
    """ "pytorch" or "keras" by the names within, else "zip"."""
    if not has_short_directory(data):
        return "zip"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # damaged in a way of its own
        return "zip"
    if "model.weights.h5" in names:
        return "keras"
    torch = ("/data.pkl", "/archive_format", "/constants.pkl", "data.pkl")
    return "pytorch" if any(name.endswith(torch) for name in names) else "zip"
