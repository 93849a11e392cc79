"""What a model process does with a batch, at the other end of its pipe.

Covers: commands.serve.prediction.
"""

import pickle
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.serve import worker
from seglight.commands.serve.messages import Abandon, Batch, Begun, Done, Failed, Item, Job, Loaded, NotLoaded, Progress
from seglight.commands.serve.worker import ImagePrediction, LabelMaps, Model, run
from seglight.errors import UserError
from seglight.images.types import LabelMap
from seglight.inference.exported.windows import WindowedPredictor
from tests.support import serving
from tests.support.exported import Blurred, red
from tests.support.serving import drawn, png


class Far:
    """The web process's end of the pipe."""

    def __init__(self, job: Job) -> None:
        self.connection, theirs = Pipe()
        self.thread = Thread(target=run, args=(theirs, job), daemon=True)
        self.thread.start()

    def receive(self) -> Any:
        assert self.connection.poll(20), "it says nothing"
        return self.connection.recv()

    def send(self, number: int, items: list[tuple[Any, Any]], model: str = "red") -> None:
        """A batch of images, files of 24x40 pixels or arrays, with their answers."""
        sent = []
        for image, answer in items:
            size = (24, 40) if isinstance(image, bytes) else image.shape[:2]
            pickled = answer if isinstance(answer, bytes) else pickle.dumps(answer)
            sent.append(Item(size, isinstance(image, bytes), pickled))
        self.connection.send(Batch(number, model, sent))
        for image, _ in items:
            self.connection.send_bytes(memoryview(image).cast("B"))


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    path = red(tmp_path_factory.mktemp("model") / "net.onnx")
    far = Far(Job({"red": path}))
    loaded = far.receive()
    assert isinstance(loaded, Loaded)
    described = loaded.models["red"]
    assert described.card.class_names == ("dark", "red")
    assert (described.size, described.has_probabilities, described.takes_batches) == (None, False, False)
    yield far
    far.connection.close()
    far.thread.join(20)
    assert not far.thread.is_alive()


def test_files_and_pixels(far: Far) -> None:
    first, second = drawn(0), drawn(1, (31, 7))
    far.send(1, [(png(first), serving.labels), (second, serving.labels)])
    assert far.receive() == Begun(1)
    for place, image in enumerate((first, second)):
        assert far.receive() == Done(place)
        assert far.connection.recv_bytes() == (image[..., 0] > 127).astype(np.uint8).tobytes()


def test_each_image_fails_by_itself(far: Far, capsys: pytest.CaptureFixture[str]) -> None:
    image = drawn(0)
    cut = png(image)[:-40]
    items = [
        (cut, serving.labels),
        (png(drawn(0, (25, 40))), serving.labels),
        (image, serving.broken),
        (image, serving.refused),
        (image, serving.probabilities),
        (image, b"no pickle"),
        (image, serving.labels),
    ]
    far.send(2, items)
    assert far.receive() == Begun(2)
    failed = [far.receive() for _ in items[:-1]]
    assert [(one.place, one.status) for one in failed] == [(0, 422), (1, 422), (2, 500), (3, 400), (4, 422), (5, 500)]
    assert failed[0].reason.startswith("the image: not readable")
    assert failed[1].reason.endswith("are of different sizes: the file is damaged")
    assert failed[2].reason == "the answer can't be made, by an error of the server: its log has more"
    assert failed[3] == Failed(3, 400, "there is no class of this name", 2.5)
    # the name in requests, and no path of the server
    assert failed[4].reason == "red: it has labels only: export it with --probabilities"
    assert far.receive() == Done(6)
    assert far.connection.recv_bytes() == (image[..., 0] > 127).astype(np.uint8).tobytes()
    log = capsys.readouterr().err
    assert "a secret of the server" in log
    assert "UnpicklingError" in log


def test_a_model_that_can_not_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    message = Far(Job({"red": red(tmp_path / "b.onnx"), "a": tmp_path / "a.onnx"})).receive()
    assert isinstance(message, NotLoaded)
    assert message.name == "a"
    assert message.reason.startswith(f"{tmp_path / 'a.onnx'}: not readable, it is cut off")


def test_the_web_process_ends_without_a_word(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ours, theirs = Pipe()
    ours.close()
    run(theirs, Job({"red": red(tmp_path / "net.onnx")}))  # while models are loaded

    ours, theirs = Pipe()
    image = drawn(0)
    batch = Batch(1, "a", [Item((24, 40), False, pickle.dumps(serving.labels))])
    ours.send_bytes(image.tobytes())

    class Ending:
        """It is ended when the batch has begun."""

        recv_bytes = theirs.recv_bytes
        poll = theirs.poll

        def send(self, message: object) -> None:
            if isinstance(message, Begun):
                ours.close()
            theirs.send(message)

    with pytest.raises(ConnectionError):
        worker._work(Ending(), model_of(Fragile()), batch)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""


class Fragile(WindowedPredictor):
    """Refuses images whose first pixel is black; it is passed several images at a time."""

    def __init__(self) -> None:
        super().__init__(Blurred())
        self.batches: list[int] = []

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[LabelMap]:
        self.batches.append(len(images))
        if not all(image[0, 0].any() for image in images):
            raise UserError("the net fails on one of them")
        return super().predict_batch(images)

    def label_bands(self, image: NDArray[np.uint8]) -> Iterator[LabelMap]:
        if not image[0, 0].any():
            raise UserError("the net fails")
        yield from super().label_bands(image)


def model_of(predictor: Any, limited: bool = False) -> Model:
    return Model("a", "a.onnx", predictor, limited)


def test_a_batch_is_predicted_when_it_is_asked_for_and_one_image_spoils_no_other() -> None:
    predictor = Fragile()
    images = [drawn(seed) for seed in range(3)]
    expected = [Blurred().predict(image) for image in images]
    found = LabelMaps(model_of(predictor), images, lambda _: None)
    assert not predictor.batches
    for number, labels in enumerate(expected):
        np.testing.assert_array_equal(found.label_map(number), labels)
    assert predictor.batches == [3]
    images[1][0, 0] = 0
    found = LabelMaps(model_of(predictor), images, lambda _: None)
    np.testing.assert_array_equal(found.label_map(0), expected[0])
    with pytest.raises(UserError, match=r"^the net fails$"):
        found.label_map(1)
    np.testing.assert_array_equal(found.label_map(2), expected[2])


def test_windows_of_a_memory_limit_are_reported_from_top_to_bottom() -> None:
    predictor = WindowedPredictor(Blurred())
    predictor.max_memory = 1  # nothing fits, and windows are of 128 pixels
    predictor.window = 128
    predictor.peaks = [(1, 1 << 40)]
    image = drawn(0, (700, 200))
    reported: list[float] = []
    labels = LabelMaps(model_of(predictor, limited=True), [image], reported.append).label_map(0)
    np.testing.assert_array_equal(labels, predictor.predict(image))
    assert len(reported) > 4
    assert reported == sorted(reported)
    assert reported[-1] == 1.0


def test_large_images_are_read_by_windows_and_have_no_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LARGE", 100 * 100)
    predictor = WindowedPredictor(Blurred())
    predictor.window = 128
    image = drawn(0, (300, 200))
    reported: list[float] = []
    maps = LabelMaps(model_of(predictor), [image], reported.append)
    np.testing.assert_array_equal(maps.label_map(0), np.concatenate([*predictor.rows(Read(image))]))
    assert len(reported) > 1
    prediction = ImagePrediction(predictor, image, maps, 0)
    with pytest.raises(UserError, match=r"^probabilities of 300 x 200 pixels x 2 classes take 0\.0 GB: cut the image"):
        prediction.probabilities()
    small = ImagePrediction(predictor, drawn(0), maps, 0)
    np.testing.assert_array_equal(small.probabilities(), Blurred().probabilities(drawn(0)))


class Read:
    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.shape, self.image = image.shape, image

    def read(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        return self.image[rows, columns]


def test_an_image_that_nobody_waits_for_is_left(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows report how far they are, and end where the answer has become needless."""
    monkeypatch.setattr(worker, "LARGE", 100)
    far.send(3, [(drawn(0, (4096, 1200)), serving.labels)])
    far.connection.send(Abandon(2))  # of another batch
    far.connection.send(Abandon(3))
    messages = [far.receive()]
    while not isinstance(messages[-1], Done | Failed):
        messages.append(far.receive())
    assert messages[0] == Begun(3)
    assert isinstance(messages[1], Progress)
    assert len(messages) == 3
    assert messages[2] == Failed(0, 503, "nobody waits for the answer", None)
    far.send(4, [(drawn(0), serving.labels)])
    assert far.receive() == Begun(4)
