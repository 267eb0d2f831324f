"""A table's text from its bytes: the encoding that a mark tells, UTF-8, or a guess that is said."""

from __future__ import annotations

import codecs
import re
from functools import partial

import charset_normalizer

from paretoscope.base.errors import ParetoscopeError
from paretoscope.uploads.gate import shown

# Of those that tables are found in: Python's name, and what people call it.
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Windows-1252, Western Europe",
    "cp1250": "Windows-1250, Central Europe",
    "cp1251": "Windows-1251, Cyrillic",
    "cp1253": "Windows-1253, Greek",
    "cp1254": "Windows-1254, Turkish",
    "cp1255": "Windows-1255, Hebrew",
    "cp1256": "Windows-1256, Arabic",
    "cp1257": "Windows-1257, Baltic",
    "cp874": "Windows-874, Thai",
    "koi8_r": "KOI8-R, Cyrillic",
    "mac_roman": "Mac Roman",
    "cp932": "Shift JIS (cp932), Japanese",
    "euc_jp": "EUC-JP, Japanese",
    "gb18030": "GB 18030 (GBK), Chinese",
    "big5": "Big5, Chinese",
    "cp949": "EUC-KR (cp949), Korean",
}
_EUROPEAN = ("cp1252", "cp1250", "cp1254", "cp1257", "mac_roman")
_OF_PAIRS = {"cp932", "euc_jp", "gb18030", "big5", "cp949"}  # of bytes
_LOOKED_AT, _SAMPLE = 5_000_000, 40_000  # bytes of the file, and of its fields that are not ASCII
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")  # what single bytes of other alphabets look like there


class EncodingError(ParetoscopeError):
    """A text is not in the encoding that was chosen, or in none that was recognised."""


def decode(data: bytes, notes: list[str], encoding: str | None = None) -> tuple[str, str]:
    """The text of a table, and in which of `ENCODINGS` it was read.

    Parameters
    ----------
    data : bytes
    notes : list of str
        Is told of an encoding that is not UTF-8.
    encoding : str, optional
        One that the person chose, by any name that Python knows it by.

    Raises
    ------
    EncodingError
        It is no text in that encoding, or in none that was recognised.
    ParetoscopeError
        It holds NUL bytes or characters, or there is no such encoding.
    """
    if encoding is not None:
        name = find_encoding(encoding)
        return _strictly(data, name), name
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        notes.append("the file is in UTF-16")
        return _strictly(data, "utf-16"), "utf-16"
    if b"\0" in data:
        raise ParetoscopeError(
            "the file contains NUL bytes: it is binary, or UTF-16 without a mark"
        )
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        text, name = _guessed(data)
    sample = next((word for word in re.findall(r"\w+", text) if not word.isascii()), "")
    read = f" ('{shown(sample)}')" if sample else ""
    notes.append(f"the file is not in UTF-8; it was read as {ENCODINGS[name]}{read}")
    return text, name


def find_encoding(name: str) -> str:
    """The key in `ENCODINGS` of an encoding that a person names.

    >>> find_encoding("Shift_JIS"), find_encoding("latin-1"), find_encoding("UTF8")
    ('cp932', 'cp1252', 'utf-8')
    """
    alike = {
        "shift_jis": "cp932", "gbk": "gb18030", "gb2312": "gb18030", "euc_kr": "cp949",
        "iso8859-1": "cp1252", "iso8859-15": "cp1252", "mac-roman": "mac_roman",
        "koi8-r": "koi8_r", "ascii": "utf-8", "utf-8-sig": "utf-8",
    }  # fmt: skip
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = ""
    found = alike.get(found, found)
    if found not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise ParetoscopeError(f"the encoding '{shown(name)}' is not known; known are {known}")
    return found


def _strictly(data: bytes, encoding: str) -> str:
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        title = ENCODINGS[encoding].partition(",")[0]
        raise EncodingError(
            f"the file is no text in {title}: byte {error.start:,} cannot be read"
        ) from None
    if "\0" in text:
        raise ParetoscopeError("the file contains NUL characters: it is no text")
    return text


def _guessed(data: bytes) -> tuple[str, str]:
    """The text in the likeliest encoding. Words of plain letters with a few others are European."""
    fields = dict.fromkeys(re.findall(rb'[^,;\t\r\n"]+', data[:_LOOKED_AT]))
    odd = [field for field in fields if not field.isascii()]  # each once, or it seems no language
    sample = b" ".join(odd)[:_SAMPLE]
    found = (_known(match.encoding) for match in charset_normalizer.from_bytes(sample))
    likely = [name for name in found if name is not None and not _is_half_width(sample, name)]
    share = _share_of_odd(sample)
    if share <= 0.4 or (share <= 0.8 and not _OF_PAIRS & set(likely)):
        likely = [name for name in likely if name in _EUROPEAN]
    elif share > 0.8:
        likely = [name for name in likely if name not in _EUROPEAN]
    if likely[:1] == ["cp1251"]:  # the other Cyrillic alphabet has its capitals where these are not
        likely.insert(0, max(("cp1251", "koi8_r"), key=partial(_n_small, sample)))
    for name in [*likely, *(["cp1252"] if share <= 0.8 else [])]:
        if name in _EUROPEAN and _is_western(sample):
            name = "cp1252"
        try:
            return _strictly(data, name), name
        except ParetoscopeError:
            continue
    raise EncodingError(
        "the file's text is not in UTF-8, and its encoding was not recognised: save it as UTF-8, "
        "or choose its encoding"
    )


def _share_of_odd(sample: bytes) -> float:
    """The share of letters that are not ASCII in words that have any, by bytes; single letters
    tell nothing."""
    words = [w for w in re.findall(rb"[A-Za-z\x80-\xff]{2,}", sample) if not w.isascii()]
    n_odd = sum(len(re.findall(rb"[\x80-\xff]", word)) for word in words)
    return n_odd / max(1, sum(map(len, words)))


def _n_small(sample: bytes, name: str) -> int:
    return sum(c.islower() for c in sample.decode(name, "replace") if not c.isascii())


def _known(encoding: str) -> str | None:
    try:
        return find_encoding(encoding)
    except ParetoscopeError:
        return None


def _is_half_width(sample: bytes, name: str) -> bool:
    if name != "cp932":
        return False
    odd = [c for c in sample.decode(name, "ignore") if not c.isascii()]
    return 2 * sum(bool(_HALF_WIDTH.match(c)) for c in odd) > len(odd)


def _is_western(sample: bytes) -> bool:
    """Whether the Western alphabet gives words: no sign within one, and no letter that stands for
    those of Central Europe or Turkish there."""
    text = sample.decode("cp1252", "replace")
    return not re.search(r"[\u0161\u017e\u0160\u017d\u00f0\u00fe\u00fd\ufffd]", text) and not (
        re.search(r"[^\W\d_][\u00a1-\u00bf][^\W\d_]", text)
    )
