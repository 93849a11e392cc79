"""Model processes that predict, die, are replaced and end, as the protocols see them.

Covers: commands.serve.worker_group, commands.serve.messages, commands.serve.process, commands.serve.worker_slot,
commands.serve.settings, commands.serve.status.
"""

import asyncio
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service, memory_of_each
from seglight.commands.serve.settings import Settings
from seglight.errors import UserError
from seglight.inference.load import load
from tests.support import serving
from tests.support.checkpoint_files import checkpoint
from tests.support.exported import red
from tests.support.serving import Serving, drawn, png, poisoned


def expected(image: NDArray[np.uint8], above: int = 127) -> bytes:
    """What the exported net is by its definition: class 1 where red is above a value."""
    return (image[..., 0] > above).astype(np.uint8).tobytes()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.01)


def refusal(served: Serving, *args: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        served.call(served.service.predict(*args))
    return caught.value


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red(tmp_path_factory.mktemp("model") / "net.onnx")


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[Serving]:
    """One process, a queue of four, and no image of more than 5,000 pixels."""
    found = Serving({"red": model, "again": model}, queue=4, max_pixels=5000)
    yield found
    found.close()


def test_label_maps(served: Serving, model: Path) -> None:
    image = drawn(0)
    predict = served.service.predict
    assert served.call(predict(png(image), serving.labels)) == expected(image)
    assert served.call(predict(image[:, ::-1], serving.labels)) == expected(image[:, ::-1])
    answered = served.call(served.service.answered(png(image), serving.labels, "again"))
    assert answered.content == expected(image)
    assert answered.model.name == "again"
    assert answered.size == image.shape[:2]
    first, second = served.service.models.values()
    assert (first.name, first.path, first.classes, first.palette) == (
        "red",
        str(model),
        ("dark", "red"),
        ((0, 0, 0), (255, 0, 0)),
    )
    assert second == answered.model
    assert second.version == hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    assert (second.size, second.has_probabilities, second.ready) == (None, False, True)


def test_progress_and_status(served: Serving) -> None:
    before = served.service.status()
    seen: list[float] = []
    served.call(served.service.predict(png(drawn(0)), serving.labels, "red", seen.append))
    assert seen == [1.0]
    status = served.service.status()
    assert (status.ready, status.draining, status.queued) == (True, False, {"red": 0, "again": 0})
    assert status.batches[1] == before.batches.get(1, 0) + 1
    until(lambda: not served.service.status().workers[0].busy)
    (process,) = served.service.status().workers
    assert process.ready
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))
    assert abs(process.memory - resident) < 4 << 20


def test_a_process_without_torch_that_a_signal_to_the_group_does_not_end(served: Serving) -> None:
    facts = json.loads(served.call(served.service.predict(drawn(0), serving.process_facts)))
    assert facts["heavy"] == []
    assert {signal.SIGTERM, signal.SIGINT} <= set(facts["blocked"])
    os.kill(facts["pid"], signal.SIGTERM)
    assert json.loads(served.call(served.service.predict(drawn(0), serving.process_facts)))["pid"] == facts["pid"]


@pytest.mark.parametrize(
    ("image", "answer", "name", "status", "reason"),
    [
        (b"hello", serving.labels, None, 415, "the image: not readable as an image"),
        (b"", serving.labels, None, 415, "the image: "),
        (png(drawn(0))[:-40], serving.labels, None, 422, "the image: not readable"),
        (
            png(drawn(0, (50, 101))),
            serving.labels,
            None,
            413,
            "the image has 50 x 101 pixels, and this server takes 5000",
        ),
        (drawn(0, (101, 50)), serving.labels, None, 413, "the image has 101 x 50 pixels"),
        (drawn(0).astype(np.float32), serving.labels, None, 400, "an image is uint8 (H, W, 3) in RGB, not float32"),
        (np.zeros((0, 4, 3), np.uint8), serving.labels, None, 400, "an image is uint8 (H, W, 3) in RGB, not uint8 (0,"),
        (drawn(0), serving.labels, "blue", 404, "there is no such model: the models are red, again"),
        (drawn(0), serving.broken, None, 500, "the answer can't be made"),
        (drawn(0), serving.refused, None, 400, "there is no class of this name"),
        (drawn(0), serving.probabilities, None, 422, "red: it has labels only: export it with --probabilities"),
    ],
)
def test_refusals(served: Serving, image: Any, answer: Any, name: str | None, status: int, reason: str) -> None:
    found = refusal(served, image, answer, name)
    assert found.status == status
    assert found.reason.startswith(reason)
    assert "\n" not in found.reason
    assert "/" not in found.reason


def test_an_answer_that_has_no_name_is_a_mistake_of_its_author(served: Serving) -> None:
    with pytest.raises((AttributeError, TypeError), match=r"pickle|local"):
        served.call(served.service.predict(drawn(0), lambda prediction: b""))


def test_a_full_queue_and_those_who_leave_it(served: Serving) -> None:
    """One is predicted, four wait, and one more is refused; of those that wait, one leaves."""
    images = [drawn(seed) for seed in range(5)]
    predict = served.service.predict

    async def scenario() -> None:
        tasks = [asyncio.ensure_future(predict(images[0], serving.slow_labels))]
        while not served.service.status().workers[0].busy:
            await asyncio.sleep(0.01)
        tasks += [asyncio.ensure_future(predict(image, serving.labels)) for image in images[1:]]
        while served.service.status().queued["red"] < 4:
            await asyncio.sleep(0.01)
        with pytest.raises(Refused) as caught:
            await predict(images[0], serving.labels)
        assert caught.value.status == 429
        assert caught.value.retry_after is not None
        assert caught.value.retry_after >= 1
        tasks[1].cancel()
        await asyncio.sleep(0.02)
        assert served.service.status().queued["red"] == 3
        del tasks[1], images[1]
        assert await asyncio.gather(*tasks) == [expected(image) for image in images]

    before = served.service.status().batches[1]
    served.call(scenario())
    assert served.service.status().batches[1] == before + 4


def test_an_image_that_ends_its_process_harms_no_other(served: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    images = [drawn(0), poisoned(drawn(1)), drawn(2)]

    async def scenario() -> list[Any]:
        predict = served.service.predict
        waits = (predict(image, serving.labels_unless_poisoned) for image in images)
        return await asyncio.gather(*waits, return_exceptions=True)

    first, died, last = served.call(scenario())
    assert first == expected(images[0])
    assert last == expected(images[2])
    assert isinstance(died, Refused)
    assert died.status == 500
    assert died.reason.startswith("the process that predicted the image has died of it")
    assert [process.restarts for process in served.service.status().workers] == [1]
    assert (
        "a model process has ended (signal 9, as the system sends it where memory is short)" in capsys.readouterr().err
    )


def test_a_process_that_dies_while_it_has_nothing_to_do(served: Serving) -> None:
    (process,) = served.service.status().workers
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not served.service.status().ready)
    assert not served.service.models["red"].ready
    image = drawn(0)
    assert served.call(served.service.predict(image, serving.labels)) == expected(image)  # it waits for the next one
    assert served.service.status().workers[0].restarts == process.restarts + 1


@pytest.mark.slow
def test_a_replaced_file_and_one_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new file is loaded beside the old one; a damaged one changes nothing, not even when the process dies then."""
    monkeypatch.setattr("seglight.commands.serve.watch.LOOK_S", 0.05)
    path = red(tmp_path / "net.onnx")
    served = Serving({"net": path})
    try:
        image = drawn(0)

        def answer() -> tuple[str, bytes]:
            found = served.call(served.service.answered(image, serving.labels))
            return found.model.version, found.content

        first = served.service.models["net"].version
        assert answer() == (first, expected(image))
        red(tmp_path / "new.onnx", above=40).replace(path)
        until(lambda: served.service.models["net"].version != first)
        second = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        assert answer() == (second, expected(image, above=40))
        told = capsys.readouterr().err
        assert f"seglight: net: {path} was replaced: loading version {second}\n" in told
        assert re.search(rf"seglight: net: version {second} follows {first}, loaded within \d+ s\n", told)
        content = path.read_bytes()
        path.write_bytes(content[:-50] + bytes(50))  # in place
        said: list[str] = []
        until(lambda: said.append(capsys.readouterr().err) or "is refused" in "".join(said))
        assert f"seglight: net: {path} was replaced and is refused, version {second} stays: {path}: " in "".join(said)
        assert answer() == (second, expected(image, above=40))
        os.kill(served.service.status().workers[0].pid, signal.SIGKILL)
        until(lambda: served.service.status().workers[0].restarts == 1)
        assert answer() == (second, expected(image, above=40))
    finally:
        served.close()


def test_it_ends_when_all_are_answered(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    served = Serving({"red": model}, workers=1)
    assert len([*tmp_path.glob("seglight-serve-*")]) == 1
    pid = served.service.status().workers[0].pid
    images = [drawn(0), drawn(1)]

    async def scenario() -> None:
        tasks = [asyncio.ensure_future(served.service.predict(image, serving.slow_labels)) for image in images]
        while not served.service.status().workers[0].busy:
            await asyncio.sleep(0.01)
        draining = asyncio.ensure_future(served.service.drain())
        await asyncio.sleep(0)
        with pytest.raises(Refused) as caught:
            await served.service.predict(images[0], serving.labels)
        assert caught.value.status == 503
        assert not served.service.status().ready
        assert not draining.done()
        assert await asyncio.gather(*tasks) == [expected(image) for image in images]
        await draining

    served.call(scenario())
    served.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not [*tmp_path.glob("seglight-serve-*")]


def test_before_the_models_are_loaded(model: Path) -> None:
    async def scenario() -> None:
        service = Service({"red": model}, Settings())
        assert not service.models
        assert not service.status().ready
        with pytest.raises(Refused) as caught:
            await service.predict(drawn(0), serving.labels)
        assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
        await service.close()

    asyncio.run(scenario())


def test_memory_of_each_process() -> None:
    assert memory_of_each(Settings()) is None
    settings = Settings(max_memory=2_000_000_000, max_bytes=50_000_000, workers=2)
    assert 0.8e9 < (memory_of_each(settings) or 0) < 0.9e9
    hosts = replace(settings, label_studio_hosts=("http://localhost:8080",))
    # of Label Studio's tasks, one image is fetched and two are predicted
    assert (memory_of_each(settings) or 0) - (memory_of_each(hosts) or 0) == 3 * 50_000_000 // 2
    with pytest.raises(UserError, match=r"^--max_memory 0\.10 GB: the web process takes 0\.\d+ GB of them: give more$"):
        memory_of_each(Settings(max_memory=100_000_000))


@pytest.mark.slow
def test_a_damaged_file_is_named_as_the_user_knows_it(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(model.read_bytes()[:-60])
    with pytest.raises(UserError, match=rf"^{path}: its checksum does not match"):
        Serving({"red": model, "damaged": path}, workers=2)


@pytest.mark.slow
def test_a_process_that_is_silent_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.serve.worker_slot.SILENCE_S", 1.0)
    served = Serving({"red": model})
    try:
        assert refusal(served, drawn(0), serving.hanging).status == 504
        assert served.call(served.service.predict(drawn(0), serving.labels)) == expected(drawn(0))
    finally:
        served.close()


@pytest.mark.slow
def test_an_image_that_waits_too_long(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.serve.service.SILENCE_S", 0.2)
    served = Serving({"red": model})
    try:

        async def scenario() -> tuple[Any, Any]:
            predict = served.service.predict
            waits = (predict(drawn(seed), serving.slow_labels) for seed in range(2))
            first, second = await asyncio.gather(*waits, return_exceptions=True)
            return first, second

        first, second = served.call(scenario())
        assert first == expected(drawn(0))
        assert isinstance(second, Refused)
        assert (second.status, second.retry_after) == (504, 60.0)
    finally:
        served.close()


@pytest.mark.slow
def test_a_large_image_is_predicted_by_windows_with_progress(model: Path) -> None:
    """Of 34 megapixels; who leaves in between frees the process at the next band."""
    image = np.zeros((5800, 5800, 3), np.uint8)
    image[1000:3000, 2000:, 0] = 200
    served = Serving({"red": model})
    try:
        seen: list[float] = []
        content = served.call(served.service.predict(png(image), serving.labels, None, seen.append))
        assert content == expected(image)
        assert len(seen) > 4
        assert seen == sorted(seen)
        assert seen[-1] == 1.0

        async def leave() -> None:
            begun = asyncio.Event()
            waits = served.service.predict(image, serving.labels, None, lambda fraction: begun.set())
            task = asyncio.ensure_future(waits)
            await begun.wait()
            task.cancel()

        served.call(leave())
        assert served.call(served.service.predict(drawn(0), serving.labels)) == expected(drawn(0))
    finally:
        served.close()


@pytest.mark.slow
def test_two_processes_with_a_checkpoint_under_load(tmp_path: Path) -> None:
    """Batches of several sizes, an image that ends its process, and label maps that are those of the predictor."""
    path = checkpoint(tmp_path / "net.ckpt")
    net = load(path, device="cpu")
    sizes = [(40, 60), (33, 47), (64, 64)]
    images = [drawn(k, sizes[k % 3]) for k in range(30)]
    images[7] = poisoned(images[7])
    served = Serving({"net": path}, workers=2, batch=4, wait_s=0.02)
    try:

        async def scenario() -> list[Any]:
            predict = served.service.predict
            waits = (predict(png(image), serving.labels_unless_poisoned) for image in images)
            return await asyncio.gather(*waits, return_exceptions=True)

        answers = served.call(scenario(), seconds=120)
        for k, (image, answer) in enumerate(zip(images, answers, strict=True)):
            if k == 7:
                assert isinstance(answer, Refused)
                assert answer.status == 500
            else:
                found = np.frombuffer(answer, np.uint8).reshape(image.shape[:2])
                assert (found == net.predict(image)).mean() > 0.999  # sums of a batch may round differently
        status = served.service.status()
        assert max(status.batches) > 1
        assert sum(process.restarts for process in status.workers) >= 1
    finally:
        served.close()
