"""Files of models that are replaced."""

import asyncio
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from seglight.commands.serve.models import fingerprint
from seglight.commands.serve.watch import watch

LOOK_S = 0.02


def test_a_file_that_is_written_is_loaded_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seglight.commands.serve.watch.LOOK_S", LOOK_S)
    paths = {name: tmp_path / f"{name}.onnx" for name in ("a", "b")}
    for path in paths.values():
        path.write_bytes(b"first")
    replaced: list[tuple[str, bytes]] = []

    async def note(name: str) -> bool:
        replaced.append((name, paths[name].read_bytes()))
        return True

    async def until(count: int) -> None:
        async with asyncio.timeout(5):
            while len(replaced) < count:
                await asyncio.sleep(LOOK_S / 4)

    async def scenario() -> None:
        known = {name: found for name, path in paths.items() if (found := fingerprint(path))}
        watching = asyncio.create_task(watch(paths, known, note))
        await asyncio.sleep(3 * LOOK_S)
        assert not replaced
        with paths["b"].open("wb", buffering=0) as file:
            for _ in range(100):  # it grows for longer than several looks
                file.write(b"part")
                await asyncio.sleep(LOOK_S / 20)
        await until(1)
        assert replaced == [("b", b"part" * 100)]
        paths["a"].unlink()
        await asyncio.sleep(4 * LOOK_S)
        paths["a"].write_bytes(b"second")
        await until(2)
        await asyncio.sleep(4 * LOOK_S)
        assert replaced[1:] == [("a", b"second")]
        watching.cancel()

    asyncio.run(scenario())
    assert (
        capsys.readouterr().err == f"seglight: a: {paths['a']} is not there any more: the model that is loaded stays\n"
    )


def test_a_file_that_could_not_be_copied_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.serve.watch.LOOK_S", 0.001)
    monkeypatch.setattr("seglight.commands.serve.watch.AGAIN_S", 0.03)
    path = tmp_path / "a.onnx"
    path.write_bytes(b"first")
    tried: list[float] = []

    async def full_disk(name: str) -> bool:
        tried.append(time.monotonic())
        return len(tried) == 3

    async def scenario() -> None:
        known = fingerprint(path)
        assert known
        path.write_bytes(b"second one")
        with suppress(TimeoutError):
            await asyncio.wait_for(watch({"a": path}, {"a": known}, full_disk), 0.2)

    asyncio.run(scenario())
    assert len(tried) == 3, "no further time once it was copied"
    assert min(late - early for early, late in pairwise(tried)) >= 0.03
