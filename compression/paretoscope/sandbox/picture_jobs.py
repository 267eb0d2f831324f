"""Jobs of a sandbox that read pictures out of a ZIP archive, with Pillow.

`look` goes through the directory and the heads of all pictures before anything is unpacked, and
refuses what no honest archive holds; `draw` then decodes some at a time.
"""

from __future__ import annotations

import base64
import io
import json
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from paretoscope.base.zips import directory_size
from paretoscope.sandbox.refused import RefusedError

_FORMATS = ("PNG", "JPEG", "WEBP")
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".npz")
_TABLES = (".csv", ".tsv")
_BESIDE = (".txt", ".md", ".json", ".xml", ".yaml", ".yml", ".pdf", ".ini", ".db", *_TABLES)
_MOST_DIRECTORY_BYTES = 20_000_000
_MOST_NAME = 1_000
_MOST_TIMES, _FROM_BYTES = 100, 1_000_000  # a picture is packed already, and packs no further
_MOST_UNPACKED = 4_000_000_000
_MOST_TABLES, _MOST_TABLE_BYTES = 8, 5_000_000
_HEAD_BYTES = 65_536
_SHARP = 4  # a photo is decoded at no less than so many times the wanted size
_MARGIN = 0.875  # of the side that is kept where a margin is cut off


def look(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What an archive holds; part: the archive.

    Arguments: "most_files", "most_pixels" (of one picture). Returns JSON as bytes: the "names" of
    pictures, their "sizes" (width and height; None where their heads do not tell), "tables" by name
    (in base64), "others" (names of files that are no pictures) and "twice" (how many names come
    again).
    """
    data = parts[0]
    _require_few(data, arguments["most_files"])
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise RefusedError(f"the archive is damaged or cut short ({error})") from None
    entries = [e for e in archive.infolist() if not e.is_dir()]
    if len(entries) > arguments["most_files"]:
        raise _too_many(len(entries), arguments["most_files"])
    for entry in entries:
        _require_honest(entry)
    if sum(e.compress_size for e in entries) > len(data):
        raise RefusedError("the archive's files lie over each other: it is made to do harm")
    if sum(e.file_size for e in entries) > _MOST_UNPACKED:
        raise RefusedError(f"the archive unpacks to more than {_MOST_UNPACKED / 1e9:.0f} GB")
    seen: Counter[str] = Counter()
    pictures: list[zipfile.ZipInfo] = []
    tables: dict[str, str] = {}
    others: list[str] = []
    for entry in entries:
        name = _path(entry)
        steps = name.split("/")
        hidden = any(s.startswith(".") or s == "__MACOSX" for s in steps)
        if hidden or steps[-1].lower() in ("thumbs.db", "desktop.ini"):
            continue
        seen[name] += 1
        if seen[name] > 1:
            continue
        if name.lower().endswith(_ARCHIVES):
            raise RefusedError(f"'{_told(name)}' is an archive within the archive: unpack it first")
        if name.lower().endswith(_ENDINGS):
            pictures.append(entry)
        elif name.lower().endswith(_TABLES) and len(tables) < _MOST_TABLES:
            if entry.file_size <= _MOST_TABLE_BYTES:
                tables[name] = base64.b64encode(archive.read(entry)).decode()
        elif not name.lower().endswith(_BESIDE):
            others.append(name)
    if not pictures:
        raise RefusedError("the archive holds no PNG, JPEG or WebP picture")
    _KEPT[:] = [(archive, pictures)]
    found = {
        "names": [_path(entry) for entry in pictures],
        "sizes": [_size(archive, entry, arguments["most_pixels"]) for entry in pictures],
        "tables": tables,
        "others": others,
        "twice": sum(n - 1 for n in seen.values()),
    }
    return {"bytes": json.dumps(found).encode()}


def draw(parts: Sequence[bytes], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Some of the pictures of the archive that was looked at, as bytes of shape (n, height, width,
    channels), red first.

    Arguments: "places", "height", "width", "channels" (1 or 3), "fit" ("fill": as large as fills
    the frame, the rest cut off at both sides; "margin": so, without an eighth of the frame around;
    "stretch": to the frame's own shape), "most_pixels". Those that cannot be read are left out:
    "wrong" holds their places with the reason. "done" counts what was done to how many.
    """
    import numpy as np

    archive, entries = _KEPT[0]
    drawn: list[bytes] = []
    wrong: list[tuple[int, str]] = []
    done: Counter[str] = Counter()
    for place in arguments["places"]:
        try:
            image = _opened(archive, entries[place], arguments["most_pixels"])
            image = _plain(image, arguments, done)
            array = np.asarray(_fitted(image, arguments))
        except RefusedError:
            raise
        except MemoryError:
            wrong.append((place, "to decode it takes more memory than is given"))
            continue
        except Exception as error:  # of Pillow any, whatever the bytes
            wrong.append((place, _reason(error)))
            continue
        drawn.append(np.ascontiguousarray(array, np.uint8).tobytes())
    return {"bytes": b"".join(drawn), "wrong": wrong, "done": dict(done)}


_KEPT: list[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]] = []


# --- the directory --------------------------------------------------------------------------------


def _require_few(data: bytes, most: int) -> None:
    """Before Python reads the directory."""
    size = directory_size(data)
    if size is None:
        raise RefusedError("the archive is cut short: it has no directory")
    n, n_bytes = size
    if n_bytes > _MOST_DIRECTORY_BYTES:  # the count before it may have wrapped around
        raise RefusedError(f"the archive's directory of names alone has {n_bytes / 1e6:,.0f} MB")
    if n > most:
        raise _too_many(n, most)


def _too_many(n: int, most: int) -> RefusedError:
    return RefusedError(f"the archive names {n:,} files; at most {most:,} are taken")


def _path(entry: zipfile.ZipInfo) -> str:
    """Some tools write the separators of Windows."""
    return entry.filename.replace("\\", "/")


def _told(name: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= 60 else f"{plain[:59]}…"


def _require_honest(entry: zipfile.ZipInfo) -> None:
    name = _path(entry)
    told = f"'{_told(name)}'"
    if len(name) > _MOST_NAME:
        raise RefusedError(f"a name in the archive has {len(name):,} characters")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise RefusedError(f"{told} leads out of the archive's own folder")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise RefusedError(f"{told} is a link to another file")
    if entry.flag_bits & 1:
        raise RefusedError(f"{told} is encrypted: save the archive without a password")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RefusedError(f"{told} is packed in a way that is not read: save it as a plain ZIP")
    times = entry.file_size / max(1, entry.compress_size)
    if entry.file_size > _FROM_BYTES and times > _MOST_TIMES:
        raise RefusedError(f"{told} unpacks to {times:,.0f} times its size, as no picture does")


# --- pictures -------------------------------------------------------------------------------------


def _size(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most_pixels: int
) -> tuple[int, int] | None:
    """Width and height by a picture's head, upright; None where that does not tell."""
    try:
        with archive.open(entry) as file:
            head = file.read(_HEAD_BYTES)
        width, height = _recognised(head).size
    except Exception:  # it is told when the picture is read
        return None
    _require_pixels(entry, (width, height), most_pixels)
    return width, height


def _require_pixels(entry: zipfile.ZipInfo, size: tuple[int, int], most: int) -> None:
    if size[0] * size[1] > most:
        raise RefusedError(
            f"'{_told(_path(entry))}' says it has {size[0]:,} x {size[1]:,} pixels; at most "
            f"{most / 1e6:,.0f} million are taken"
        )


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most_pixels: int) -> Any:
    with archive.open(entry) as file:
        data = file.read(entry.file_size + 1)
    if not data:
        raise ValueError("the file is empty")
    image = _recognised(data)
    _require_pixels(entry, image.size, most_pixels)
    return image


def _recognised(data: bytes) -> Any:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # there is a limit of our own, which is an error and no warning
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _plain(image: Any, arguments: Mapping[str, Any], done: Counter[str]) -> Any:
    """Upright, of bytes, without transparency, of as many channels as are wanted."""
    from PIL import Image, ImageOps

    photo = image.format in ("JPEG", "MPO")  # the latter has a preview beside
    if getattr(image, "is_animated", False) and not photo:
        done["animated: the first frame is taken"] += 1
    mode = "L" if arguments["channels"] == 1 else "RGB"
    if photo:
        image.draft(mode, (_SHARP * arguments["width"], _SHARP * arguments["height"]))
    image.load()
    if image.getexif().get(0x0112, 1) in range(2, 9):
        done["turned as their camera says"] += 1
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I") or image.mode == "F":
        import numpy as np

        done["of 16 bits, of which the upper eight are taken"] += 1
        wide = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16)
        image = Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode == "P" or "transparency" in image.info:
        done["with a palette"] += image.mode == "P"
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "PA", "La", "RGBA", "RGBa"):
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            done["with transparency, laid over white"] += 1
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    if image.mode == "CMYK":
        done["in CMYK, taken over as RGB"] += 1
    if mode == "RGB" and image.mode in ("1", "L"):
        done["grey, with three channels alike"] += 1
    if mode == "L" and image.mode not in ("1", "L"):
        done["in colour, taken as grey"] += 1
    return image if image.mode == mode else image.convert(mode)


def _fitted(image: Any, arguments: Mapping[str, Any]) -> Any:
    from PIL import Image

    width, height, fit = arguments["width"], arguments["height"], arguments["fit"]
    if image.size == (width, height) and fit != "margin":
        return image
    box = None
    if fit != "stretch":
        share = _MARGIN if fit == "margin" else 1.0
        scale = share * min(image.width / width, image.height / height)
        left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _reason(error: Exception) -> str:
    """Why a picture cannot be read, in few words."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "it is no PNG, JPEG or WebP picture, whatever its name says"
    text = " ".join(str(error).split())
    if "is empty" in text:
        return "it is empty"
    if "truncated" in text or "cut" in text:
        return "it is cut short"
    return f"it is damaged ({text[:80]})" if text else "it is damaged"
