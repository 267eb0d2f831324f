"""Pictures as people have them: archives, what is wrong with them, and how models take them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import paretoscope as ps
import pytest
from paretoscope.base.errors import ParetoscopeError
from paretoscope.cli.main import main
from paretoscope.data.dataset import load_dataset
from paretoscope.data.own_data import own_notes
from paretoscope.sandbox.sandbox import Sandbox
from paretoscope.uploads.arrays import is_arrays
from paretoscope.uploads.checking import Chosen, check
from paretoscope.uploads.gate import admit
from paretoscope.uploads.picture_choice import SCALINGS, Fit, PictureChoice, scaled_by
from paretoscope.uploads.pictures import Pictures, classes_of, frame_of, opened
from paretoscope.uploads.taking import Brought, judged, picked_up, put_down, take
from PIL import Image

from tests.archives import (
    BOMBS,
    SIDE,
    archive,
    coloured_digits,
    digits_and,
    digits_archive,
    encoded,
    many_names,
    network_on,
)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TRAINED = {
    "0 to 255": ((0.0,), (1 / 255,)),
    "0 to 1": ((0.0,), (1.0,)),
    "-1 to 1": ((0.5,), (0.5,)),
    "ImageNet": IMAGENET,
}


@pytest.fixture(scope="module")
def model() -> bytes:
    return network_on(*IMAGENET)


def _look(data: bytes, **choice: Any) -> Any:
    return judged(
        Brought(network_on(*IMAGENET), "m.onnx", data, "d.zip",
                chosen=Chosen(pictures=PictureChoice(**choice)))
    )  # fmt: skip


# --- scalings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "blue_first"), [*((name, False) for name in TRAINED), ("ImageNet", True)]
)
def test_the_scaling_that_a_network_was_trained_with_is_found(name: str, blue_first: bool) -> None:
    trained = network_on(*TRAINED[name], blue_first=blue_first)
    found = check(digits_archive(), "", trained).tried
    assert found is not None
    assert found.tells
    assert (found.best.scaled.title, found.best.blue_first) == (name, blue_first)
    assert found.best.accuracy.value > 0.9


def test_a_network_that_knows_nothing_has_none_of_these() -> None:
    found = check(digits_archive(), "", network_on(*IMAGENET, trained=False))
    assert found.tried is not None
    assert not found.tried.tells
    assert not found.beats
    with pytest.raises(ParetoscopeError, match="under none of the usual scalings"):
        take(Brought(network_on(*IMAGENET, trained=False), "m.onnx", digits_archive(), "d.zip"))


def test_rows_are_what_the_network_was_trained_on(model: bytes) -> None:
    """Pixels of the archive, scaled by its own formula, channel by channel."""
    taken = take(Brought(model, "m.onnx", digits_archive(), "my digits.zip"))
    data = load_dataset(taken.dataset)
    pixels, _ = coloured_digits()
    wanted = (pixels[:200] / 255 - np.array(IMAGENET[0])) / np.array(IMAGENET[1])
    wanted = wanted.transpose(0, 3, 1, 2).reshape(200, -1)
    found = np.concatenate([data.rows(split).X for split in ("train", "validation", "test")])
    order = np.lexsort(wanted.round(3).T), np.lexsort(found.round(3).T)
    np.testing.assert_allclose(found[order[1]], wanted[order[0]], atol=1e-5)
    assert data.raw.X.dtype == np.uint8
    shown = data.picture(data.validation.X[0])
    assert shown is not None
    assert (shown == pixels[:200]).all((1, 2, 3)).any()
    assert data.class_names == tuple("0123456789")
    assert "scaled ImageNet: " in " ".join(own_notes(taken.dataset))
    network = ps.train(taken.model, data)
    measured = ps.measure(ps.compress(network, ps.Recipe.parse("symmetric(8)"), data.train), data)
    assert measured.accuracy.value > 0.9


def test_channels_last_and_a_size_of_ones_own(model: bytes) -> None:
    last = network_on(*IMAGENET, last=True)
    taken = take(Brought(last, "m.onnx", digits_archive(), "d.zip"))
    raw = load_dataset(taken.dataset).raw
    assert raw.parts[0].shape == (SIDE, SIDE, 3)
    open_ = frame_of(admit(network_on(*IMAGENET, sides=("h", "w"))), 8)
    assert open_.part.shape == (3, 8, 8)
    frame = frame_of(admit(last))
    rows = frame.laid_out(coloured_digits()[0][:3], blue_first=True)
    scaling = frame.scaling(SCALINGS["ImageNet"], blue_first=True)
    back = [scaling.picture(row) for row in scaling(rows)]
    np.testing.assert_array_equal(back, coloured_digits()[0][:3])
    own = scaled_by((0.5,), (0.25,))
    assert open_.scaling(own).mean == (127.5,)


@pytest.mark.parametrize(
    ("mean", "deviation"), [((0.5, 0.5), (1.0,)), ((0.5,), (0.0,)), ((float("nan"),), (1.0,))]
)
def test_a_scaling_of_ones_own_is_numbers_that_scale(mean: Any, deviation: Any) -> None:
    with pytest.raises(ParetoscopeError):
        scaled_by(mean, deviation)


def test_the_command_line_takes_pictures(
    model: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.zip").write_bytes(digits_and({"3/bad.png": b"x"}, 60))
    (tmp_path / "m.onnx").write_bytes(model)
    files = ["--model", str(tmp_path / "m.onnx")]
    assert main(["check", str(tmp_path / "d.zip"), *files]) == 0
    told = capsys.readouterr()
    assert "60 pictures, 10 classes; 16 x 16 pixels in colour" in told.out
    assert "scaled ImageNet: 100.0 % of 60 right" in told.out
    assert "left out: 3/bad.png: it is no PNG" in told.err
    asked = ["measure", *files, "--data", str(tmp_path / "d.zip"), "symmetric(8)"]
    assert main(asked) == 2
    assert "1 picture cannot be read" in capsys.readouterr().err
    assert main([*asked, "--without-wrong", "--scaling", "0.5/zero"]) == 2
    assert "mean/deviation" in capsys.readouterr().err
    assert main([*asked, "--without-wrong"]) == 0
    assert "scaled ImageNet: 100.0 % of 60 are right so" in capsys.readouterr().err
    assert main(["measure", "iris", "mlp-16", "q(8)", "--fit", "stretch"]) == 2
    assert "is about your own pictures" in capsys.readouterr().err
    data = ps.load_pictures(
        tmp_path / "d.zip",
        tmp_path / "m.onnx",
        PictureChoice(scaled=SCALINGS["0 to 1"], without_wrong=True),
    )
    assert data.train.X.max() <= 1


# --- what is done to pictures --------------------------------------------------------------------


def _drawn(
    *files: tuple[str, bytes], channels: int = 3, fit: Fit = "fill"
) -> tuple[list[npt.NDArray[np.uint8]], tuple[str, ...]]:
    """Pictures as a frame of 16 x 16 has them, and what was done to them."""
    plain = encoded(np.zeros((4, 4, 3), np.uint8))
    frame = frame_of(admit(_graph()))
    frame = replace(frame, part=replace(frame.part, shape=(channels, SIDE, SIDE)))
    named = [(f"b/{k}.{ending}", data) for k, (ending, data) in enumerate(files)]
    with opened(archive([*named, *((f"a/{k}.png", plain) for k in range(20))])) as pictures:
        ((kept, pixels),) = pictures.decoded(range(len(files)), frame, fit)
        assert kept == list(range(len(files)))
        return list(pixels), pictures.done


def _saved(image: Image.Image, ending: str = "png", **options: Any) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG"}.get(ending, ending.upper()), **options)
    return ending, buffer.getvalue()


def test_each_kind_of_picture_becomes_bytes_of_colour() -> None:
    red = Image.new("RGB", (SIDE, SIDE), (200, 10, 20))
    blue = Image.new("RGB", (SIDE, SIDE), (0, 0, 255))
    deep = Image.fromarray(np.full((SIDE, SIDE), 200 * 256, np.uint16))
    cmyk = Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0))
    drawn, done = _drawn(
        _saved(red),
        _saved(Image.new("RGBA", (SIDE, SIDE), (200, 10, 20, 0))),
        _saved(red.quantize(4)),
        _saved(Image.new("L", (SIDE, SIDE), 77)),
        _saved(deep),
        _saved(cmyk, "jpg", quality=100),
        _saved(red, "webp", save_all=True, append_images=[blue], lossless=True),
    )
    found = [tuple(map(int, pixels[3, 3])) for pixels in drawn]
    assert found[0] == found[6] == (200, 10, 20)
    assert found[1] == (255, 255, 255)
    assert np.abs(np.subtract(found[2], found[0])).max() < 8
    assert found[3] == (77, 77, 77)
    assert found[4] == (200, 200, 200)
    assert found[5][0] > 200 > 60 > found[5][1]
    for what in ("transparency", "palette", "grey", "16 bits", "CMYK", "first frame"):
        assert any(what in one for one in done), what


def test_colour_becomes_grey_where_a_model_takes_one_channel() -> None:
    (pixels,), done = _drawn(_saved(Image.new("RGB", (SIDE, SIDE), (200, 10, 20))), channels=1)
    assert pixels.shape == (SIDE, SIDE, 1)
    assert abs(int(pixels[0, 0, 0]) - round(0.299 * 200 + 0.587 * 10 + 0.114 * 20)) <= 1
    assert any("as grey" in text for text in done)


def test_a_photo_is_turned_as_its_camera_says() -> None:
    image = Image.new("RGB", (32, 16), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 16, 16))  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees: the left becomes the top
    (pixels,), done = _drawn(_saved(image, "jpg", exif=exif, quality=100), fit="stretch")
    assert pixels[2, 8].min() > 200
    assert pixels[13, 8].max() < 50
    assert any("camera" in one for one in done)


def test_frames_are_filled_cut_or_stretched() -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255  # the middle third
    edge = np.full((64, 64, 3), 255, np.uint8)
    edge[:3], edge[-3:], edge[:, :3], edge[:, -3:] = 0, 0, 0, 0  # less than a sixteenth each
    files = [_saved(Image.fromarray(one)) for one in (wide, edge)]
    filled, stretched, cut = (_drawn(*files, fit=fit)[0] for fit in ("fill", "stretch", "margin"))
    assert filled[0].min() > 250
    assert stretched[0][8, 1].max() < 5
    assert stretched[0][8, 8].min() > 250
    assert filled[1][0, 8].max() < 100
    assert cut[1][0, 8].min() > 200


# --- archives ------------------------------------------------------------------------------------


def test_pictures_that_cannot_be_read_are_named_and_left_out_when_it_is_said(model: bytes) -> None:
    pixels, _ = coloured_digits()
    whole = encoded(pixels[0])
    bad = {
        "3/text.jpg": b"hello", "4/empty.png": b"", "5/short.png": whole[: len(whole) // 2],
        "6/letter.docx": b"PK", "7/notes.txt": b"x", "__MACOSX/8/._a.png": b"y",
        "8/.hidden.png": b"z", "Thumbs.db": b"t",
    }  # fmt: skip
    data = digits_and(bad, 60)
    found = _look(data)
    assert {one.name for one in found.wrong} == {
        "3/text.jpg", "4/empty.png", "5/short.png", "6/letter.docx",
    }  # fmt: skip
    assert all(one.reason for one in found.wrong)
    assert found.line.startswith("60 pictures, 10 classes")
    with pytest.raises(ParetoscopeError, match="3 pictures cannot be read"):
        take(Brought(model, "m.onnx", data, "d.zip"))
    choice = Chosen(pictures=PictureChoice(without_wrong=True))
    taken = take(Brought(model, "m.onnx", data, "d.zip", chosen=choice))
    assert len(load_dataset(taken.dataset).raw.X) == 60
    told = " ".join(own_notes(taken.dataset))
    assert "3 pictures could not be read" in told
    assert "text" not in told  # names of files go nowhere


def _labels(files: dict[str, bytes]) -> tuple[tuple[str, ...] | None, str]:
    with opened(archive(files)) as pictures:
        return pictures.labels, "; ".join(pictures.notes)


def _flat(*tables: str) -> dict[str, bytes]:
    pixels, _ = coloured_digits()
    files = {f"all/p{i}.png": encoded(pixels[i]) for i in range(24)}
    return files | {f"Anna S/t{k}.csv": text.encode() for k, text in enumerate(tables)}


def _table(head: str, *columns: Sequence[object], n: int = 24) -> str:
    rows = [",".join([f"p{i}.png", *(str(c[i]) for c in columns)]) for i in range(n)]
    return "\n".join([head, *rows]) + "\n"


def test_labels_are_folders_or_a_column_of_a_table_that_says_so() -> None:
    y, split = list("abc" * 8), ["train", "test"] * 12
    assert _labels(_flat(_table("file,digit", y))) == (
        tuple(y), "labels are the column 'digit' of a table in the archive",
    )  # fmt: skip
    assert _labels(_flat(_table("file,split,label", split, y)))[0] == tuple(y)
    labels, told = _labels(_flat(_table("file,split,what", split, y)))
    assert labels is None
    assert "several columns" in told
    labels, told = _labels(_flat(_table("file,label", y, n=20)))
    assert labels is None
    assert "lacks 4 pictures" in told
    labels, told = _labels(_flat("", _table("file,label", y)))  # one of them cannot be read
    assert labels == tuple(y)
    assert "cannot be read" in told
    assert "Anna" not in told  # names go nowhere
    assert _labels(_flat())[0] is None
    folders = _folders()
    meta = "file,width\n" + "".join(f"{k}.png,640\n" for k in range(20))
    labels, told = _labels(folders | {"meta.csv": meta.encode()})
    assert set(labels or ()) == {"cat", "dog"}
    assert "not read" in told
    twice = {f"{split}/{n}": d for split in ("train", "test") for n, d in folders.items()}
    labels, told = _labels(twice)
    assert set(labels or ()) == {"cat", "dog"}
    assert "test and train are put together" in told
    inner = {n.replace("/", "/img/"): d for n, d in folders.items()}
    assert set(_labels(inner)[0] or ()) == {"cat", "dog"}
    halves = {f"{('train', 'test')[k % 2]}/{k}.png": d for k, d in enumerate(folders.values())}
    assert _labels(halves)[0] is None
    with pytest.raises(ParetoscopeError, match="1 picture lies in no class's folder"):
        _labels(folders | {"cover.png": next(iter(folders.values()))})


def test_classes_are_in_the_model_s_order_or_must_be_named() -> None:
    classes, places = classes_of(["dog", "cat"], 2)
    assert (classes, places.tolist()) == (("cat", "dog"), [1, 0])
    classes, places = classes_of(["2", "0"], 4)
    assert (classes, places.tolist()) == (("0", "1", "2", "3"), [2, 0])
    classes, places = classes_of(["dog"], 3, ("fish", "dog", "cat"))
    assert (classes, places.tolist()) == (("fish", "dog", "cat"), [1])
    for labels, n, names in (
        (["a", "b"], 3, ()), (["7"], 4, ()), (["a"], 2, ("b", "c")), (["20240131"], 0, ()),
    ):  # fmt: skip
        with pytest.raises(ParetoscopeError):
            classes_of(labels, n, names)


@pytest.mark.parametrize("blue_first", [False, True])
def test_a_model_of_bytes_is_asked_for_the_order_of_colours_alone(blue_first: bool) -> None:
    graph = network_on(*TRAINED["0 to 255"], blue_first=blue_first, of_bytes=True)
    found = check(digits_archive(), "", graph)
    assert found.frame is not None
    assert found.frame.bytes_only
    assert found.tried is not None
    assert len(found.tried.tried) == 2
    assert found.tried.best.blue_first == blue_first
    kept = take(Brought(graph, "m.onnx", digits_archive(), "d.zip")).dataset
    raw = load_dataset(kept).raw
    assert raw.scaling is None
    pixels = coloured_digits()[0][:200]
    pixels = (pixels[..., ::-1] if blue_first else pixels).transpose(0, 3, 1, 2).reshape(200, -1)
    assert sorted(map(bytes, raw.X)) == sorted(map(bytes, pixels))


@pytest.mark.parametrize("odd", [False, True])
def test_one_probability_tells_two_classes_apart(odd: bool) -> None:
    graph = network_on(*TRAINED["0 to 1"], two=True, odd=odd)
    pixels, y = coloured_digits()
    some = [i for i in range(400) if y[i] < 2]
    data = archive({f"{('cat', 'dog')[y[i]]}/{i}.png": encoded(pixels[i]) for i in some})
    found = check(data, "", graph)
    assert found.tried is not None
    assert found.tried.tells
    assert found.one_number
    right = {one.title: one.accuracy.value for one in found.tried.tried}
    assert right["0 to 1"] == 1.0
    choice = Chosen(pictures=PictureChoice(scaled=SCALINGS["0 to 1"]))
    taken = take(Brought(graph, "m.onnx", data, "d.zip", chosen=choice))
    rows = load_dataset(taken.dataset)
    network = ps.train(taken.model, rows)
    measured = ps.measure(ps.compress(network, ps.Recipe(), rows.train), rows)
    assert measured.accuracy.value == 1.0
    assert rows.class_names == ("cat", "dog")


def test_an_order_of_colours_that_was_said_is_kept() -> None:
    blue = network_on(*IMAGENET, blue_first=True)
    chosen = Chosen(pictures=PictureChoice(blue_first=False))
    with pytest.raises(ParetoscopeError, match="under none"):
        take(Brought(blue, "m.onnx", digits_archive(), "d.zip", chosen=chosen))


def test_no_room_is_said_before_pictures_are_decoded(
    model: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PARETOSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("PARETOSCOPE_STORE_MB", "0")
    choice = Chosen(pictures=PictureChoice(scaled=SCALINGS["ImageNet"]))
    with pytest.raises(ParetoscopeError, match="is full"):
        take(Brought(model, "m.onnx", digits_archive(), "d.zip", chosen=choice), "", tmp_path)
    assert not (tmp_path / "X").exists()


def _folders() -> dict[str, bytes]:
    pixels, _ = coloured_digits()
    return {f"{name}/{k}.png": encoded(pixels[k]) for name in ("cat", "dog") for k in range(20)}


def _link() -> bytes:
    entry = zipfile.ZipInfo("a/link.png")
    entry.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


def _encrypted() -> bytes:
    data = bytearray(digits_and({}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


HARMFUL = {
    "pixels": (BOMBS["pixels"], "60,000 x 60,000 pixels"),
    "compression": (BOMBS["compression"], "times its size"),
    "names": (BOMBS["names"], "directory of names alone has 153 MB"),
    "more names than are taken": (lambda: many_names(50_001), "names 50,001 files"),
    "out of it": (lambda: digits_and({"../../up.png": b"x"}), "leads out"),
    "absolute": (lambda: digits_and({"/etc/up.png": b"x"}), "leads out"),
    "of Windows": (lambda: digits_and({"C:\\up.png": b"x"}), "leads out"),
    "a link": (_link, "is a link"),
    "encrypted": (_encrypted, "encrypted"),
    "nested": (lambda: digits_and({"3/more.zip": digits_and({})}), "archive within"),
    "cut short": (lambda: digits_and({})[:-40], "cut short|damaged"),
    "no picture": (lambda: archive({"a/x.bmp": b"x", "a.png/": b""}), "no PNG"),
    "few": (lambda: digits_and({}, 4), "at least 20"),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_what_would_do_harm_is_refused_in_a_sentence(kind: str) -> None:
    made, told = HARMFUL[kind]
    with pytest.raises(ParetoscopeError, match=told), opened(made()):
        pass


@pytest.mark.parametrize("large", [False, True])
def test_no_name_of_a_large_directory_is_read_where_pages_are_drawn(
    large: bool, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the record at the end says one name, and the one for large archives many."""
    read = []
    real = zipfile.ZipFile

    def counted(*arguments: Any, **more: Any) -> Any:
        read.append(arguments)
        return real(*arguments, **more)

    data = many_names(500_000, large=large)
    monkeypatch.setattr(zipfile, "ZipFile", counted)
    with pytest.raises(ParetoscopeError, match="directory of names alone"):
        check(data, "", model)
    with pytest.raises(ParetoscopeError):
        check(data, "a.npz")
    assert not is_arrays(data)
    assert not read


def test_a_model_of_other_inputs_is_told_so() -> None:
    from tests.any_graphs import several_inputs

    with pytest.raises(ParetoscopeError, match="one input"):
        check(digits_archive(), "", several_inputs()[0])


def test_choices_travel_to_the_process_that_keeps_pictures(tmp_path: Path) -> None:
    choice = PictureChoice("margin", 96, SCALINGS["-1 to 1"], True, ("a", "b"), True)
    brought = Brought(b"m", "m.onnx", b"z", "z.zip", chosen=Chosen(pictures=choice))
    assert picked_up(put_down(brought, tmp_path)).chosen.pictures == choice


@pytest.mark.parametrize(
    "n",
    [100, pytest.param(1_000, marks=pytest.mark.soak("archives of pictures, changed at random"))],
)
def test_damaged_archives_end_in_a_sentence(n: int) -> None:
    """Bytes of archives and of pictures in them changed at random: the sandbox lives on."""
    _mutants(n)


def _mutants(n: int) -> None:
    rng = np.random.default_rng(1)
    pixels, _ = coloured_digits()
    frame = frame_of(admit(_graph()))
    files = {f"a/{i}.png": encoded(pixels[i]) for i in range(6)}
    files["b/x.jpg"] = encoded(np.kron(pixels[0], np.ones((3, 3, 1), np.uint8)), "jpg")
    files["b/x.webp"] = encoded(pixels[1], "webp")
    sandbox = Sandbox()
    try:
        for k in range(n):
            name = list(files)[int(rng.integers(len(files)))]
            data = archive(files | {name: _changed(files[name], rng)} if k % 2 else files)
            data = data if k % 2 else _changed(data, rng)
            try:
                pictures = Pictures(sandbox, data)
                for kept, drawn in pictures.decoded(range(len(pictures)), frame, "fill"):
                    assert len(drawn) == len(kept)
            except ParetoscopeError as error:
                assert str(error)
            assert sandbox.alive  # Pillow says what is wrong, and dies of nothing
            if k % 100 == 99:  # its processor time is counted over all
                sandbox.close()
                sandbox = Sandbox()
    finally:
        sandbox.close()


@lru_cache(maxsize=1)
def _graph() -> bytes:
    return network_on(*IMAGENET)


def _changed(data: bytes, rng: np.random.Generator) -> bytes:
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        found[int(rng.integers(len(found)))] = int(rng.integers(256))
    return bytes(found[: int(rng.integers(len(found) // 2, len(found) + 1))] if rng.random() < 0.2
                 else found)  # fmt: skip
