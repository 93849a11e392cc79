"""What damage and malice make of a file: each a function of a random generator."""

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.random import Generator
from safetensors.torch import load_file, save_file

from seglight.checkpoints.release import DESCRIPTION, WEIGHTS, seal

CANARY = "canary"
"""What hostile files try to make, in the folder that the command runs in."""


def damaged(data: bytes, rng: Generator) -> bytes:
    """Cut off, bits flipped, numbers made huge, spans lost, doubled, or of another file."""
    content = bytearray(data)
    place = int(rng.integers(max(len(data), 1)))
    length = int(rng.integers(1, 64))
    match int(rng.integers(9)):
        case 0:
            return data[:place]
        case 1 | 2:
            for bit in rng.integers(8 * len(data), size=int(rng.integers(1, 20))):
                content[bit // 8] ^= 1 << (bit % 8)
        case 3 | 4:  # where headers have their sizes
            place = int(rng.integers(min(len(data), 300)))
            extreme = (b"\xff" * 4, b"\0" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 3 + b"\x7f", b"\0\1\0\0")
            content[place : place + 4] = extreme[int(rng.integers(len(extreme)))]
        case 5:
            del content[place : place + length]
        case 6:
            content[place:place] = content[place : place + length]
        case 7:
            content[place:place] = rng.bytes(length)
        case 8:
            content[place:] = rng.bytes(len(data) - place)
    return bytes(content)


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of a header, some chunks and an end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


@cache
def hostile_images() -> dict[str, bytes]:
    """Bombs, and files that are something else."""
    zeros = zlib.compress(bytes(10**7))
    return {
        "wide.png": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zeros)),
        "large.png": png(60_000, 60_000, chunk(b"IDAT", zeros)),
        "text.png": png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), chunk(b"IDAT", zeros)),
        "profile.png": png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8))), chunk(b"IDAT", zeros)),
        "longer_than_its_image.png": png(8, 8, chunk(b"IDAT", zlib.compress(bytes(10**8)))),
        "empty.png": b"",
        "shell.png": f"#!/bin/sh\ntouch {CANARY}\n".encode(),
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript.png": f"%!PS-Adobe-3.0 EPSF\n%%BoundingBox: 0 0 9 9\n({CANARY}) (w) file\n".encode(),
        "movie.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b";",
        "pickle.npy": pickle.dumps(Touch()),
        "frames.png": png(8, 8, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), chunk(b"IDAT", zeros)),
        "movie.avif": struct.pack(">I", 20) + b"ftypavif" + bytes(4) + b"avif" + struct.pack(">I", 2**31) + b"meta",
        "codestream.jp2": b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 41, 0, 2**31, 2**31, 0, 0) + bytes(99),
        "large.ppm": b"P6 99999 99999 255\n" + bytes(99),
        "values.ppm": b"P6 8 8 65535\n" + bytes(384),
        "text.pgm": b"P2 " + b"9" * 10**6,
        "turned.jpg": b"\xff\xd8\xff\xe1\xff\xffExif\0\0MM\0*\xff\xff\xff\xff" + bytes(2**16) + b"\xff\xd9",
        "line\nbreak.png": b"no image",
        "-out.png": b"no image",
    }


def tiff(*entries: tuple[int, int, int, int], next_page: int = 0) -> bytes:
    """A little-endian TIFF of one page: (tag, type, count, value) each."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + packed + struct.pack("<I", next_page)


@cache
def hostile_tiffs() -> dict[str, bytes]:
    """Pages of any size, and pages that are their own successors."""

    def page(width: int, height: int, **options: int) -> bytes:
        entries = ((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
        return tiff(*entries, (273, 4, 1, 8), (278, 4, 1, height), (279, 4, 1, 64), **options)

    strips = ((273, 4, 2, 110), (278, 4, 1, 4), (279, 4, 2, 118))
    far = tiff(*((tag, 4, 1, value) for tag, value in ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1))), *strips)
    return {
        "far_strip.tif": far + struct.pack("<IIII", 126, 2**32 - 99, 32, 32) + bytes(64),
        "huge.tif": page(2**31, 2**31),
        "long.tif": page(1, 2**32 - 1),
        "large.tif": page(100_000, 100_000),
        "nothing.tif": page(0, 0),
        "circle.tif": page(8, 8, next_page=8),
        "no_entries.tif": tiff(),
        "many_strips.tif": tiff((256, 4, 1, 8), (257, 4, 1, 8), (273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8)),
        "other.tif": png(8, 8, chunk(b"IDAT", zlib.compress(bytes(200)))),
        "empty.tif": b"",
    }


class Touch:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (CANARY,)


class Evaluate:
    """Unpickled, it runs code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, (f"__import__('os').system('touch {CANARY}')",)


WRONG = (None, -1, 2**40, 1.5, "", "os.system", [], {}, [None], {"class_path": "os.system"}, "../../etc/passwd", True)
"""What stands where something else should."""


def changed(value: Any, rng: Generator, wrong: tuple[Any, ...] = WRONG) -> Any:
    """A copy of nested values with one of them exchanged for something wrong, or lost."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or rng.random() < 0.15:
        return wrong[int(rng.integers(len(wrong)))]
    key, copy = keys[int(rng.integers(len(keys)))], value.copy()
    if rng.random() < 0.15:
        del copy[key]
    else:
        copy[key] = changed(value[key], rng, wrong)
    return copy


def _saved(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _zip(data: bytes, **entries: bytes) -> bytes:
    """Entries of a zip exchanged or added, under names with `__` for a slash; deflated as in a bomb."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, entries.get(name.rpartition("/")[2].replace(".", "_"), old.read(name)))
        for name, content in entries.items():
            new.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def hostile_checkpoint(data: bytes, rng: Generator) -> bytes:
    """A checkpoint that asks for something else."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    match int(rng.integers(12)):
        case 0:
            return _saved({**content, "callbacks": Touch()})
        case 1:
            return _saved({**content, "seglight": Evaluate()}, _use_new_zipfile_serialization=False)
        case 2:
            return pickle.dumps(Touch())
        case 3:
            return _zip(data, **{"..__..__canary": b"", "data_pkl": pickle.dumps(Evaluate(), 2)})
        case 4:
            return _zip(data, data__0=bytes(10**8))
        case 5:
            return _saved([content])
        case 6:
            tensors = {key: torch.zeros(1).expand(10**6, 10**6) for key in content["state_dict"]}
            return _saved({**content, "state_dict": tensors})
        case 7:
            tensors = {key: value.to(torch.complex64) for key, value in content["state_dict"].items()}
            return _saved({**content, "state_dict": tensors})
        case 8:
            return _saved({**content, "state_dict": changed(content["state_dict"], rng)})
        case _:
            return _saved({**content, "seglight": changed(content["seglight"], rng)})


def not_finite(model: Path, path: Path, rng: Generator) -> None:
    """Copy a checkpoint or a released net with a weight that is not a number, under checksums that fit."""
    if model.is_dir():
        weights = load_file(model / WEIGHTS)
        shutil.copytree(model, path)
        _spoil(weights, rng)
        save_file(weights, path / WEIGHTS)
        description = json.loads((path / DESCRIPTION).read_text())
        description.pop("sha256")
        description["sha256_of_weights"] = hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest()
        description["sha256"] = seal(description)
        (path / DESCRIPTION).write_text(json.dumps(description))
        return
    content = torch.load(model, weights_only=True)
    _spoil(content["state_dict"], rng)
    torch.save(content, path)


def _spoil(weights: dict[str, torch.Tensor], rng: Generator) -> None:
    names = sorted(name for name, tensor in weights.items() if tensor.is_floating_point())
    tensor = weights[str(rng.choice(names))]
    tensor.view(-1)[int(rng.integers(tensor.numel()))] = torch.nan


def hostile_release(folder: Path, rng: Generator) -> None:
    """A released net that asks for something else, under checksums that fit."""
    path = folder / DESCRIPTION
    description = json.loads(path.read_text())
    description.pop("sha256")
    match int(rng.integers(6)):
        case 0:
            path.write_text("[" * 100_000)
            return
        case 1:
            (folder / WEIGHTS).unlink()
            (folder / WEIGHTS).symlink_to("/dev/zero")
        case 2:
            (folder / WEIGHTS).write_bytes(struct.pack("<Q", 2**60) + b"{}")
        case 3:
            header = json.dumps({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}).encode()
            (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        case _:
            description = changed(description, rng)
    if isinstance(description, dict):
        if not (folder / WEIGHTS).is_symlink():
            description["sha256_of_weights"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        description["sha256"] = seal(description)
    path.write_text(json.dumps(description))


def hostile_onnx(data: bytes, rng: Generator) -> bytes:
    """An exported file that says something else of itself, or computes something else."""
    model = onnx.load_from_string(data)
    match int(rng.integers(6)):
        case 0:
            model.metadata_props[0].value = json.dumps(changed(json.loads(model.metadata_props[0].value), rng))
        case 1:
            del model.metadata_props[:]
        case 2:  # weights in a file elsewhere
            tensor = model.graph.initializer[3]
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../../../../etc/passwd")
        case 3:  # labels of a terabyte
            node = onnx.helper.make_node("Expand", ["above", "shape"], ["wide"])
            shape = onnx.numpy_helper.from_array(np.array([1000, 1, 1, 30_000, 40_000]), "shape")
            model.graph.initializer.append(shape)
            model.graph.node.insert(3, node)
            model.graph.node[4].input[0] = "wide"
        case 4:
            model.graph.node[int(rng.integers(4))].op_type = "NoSuchOperation"
        case 5:
            model.graph.node[3].attribute[0].i = onnx.TensorProto.STRING if rng.random() < 0.5 else 1
    return model.SerializeToString()
