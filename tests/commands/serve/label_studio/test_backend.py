import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.serve.label_studio import backend as backend_module
from seglight.commands.serve.label_studio.backend import Backend
from seglight.commands.serve.prediction import Answer
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.settings import Settings
from seglight.images.brush import brush_pixels
from tests.support.known_labels import Answered, OneModel, StandInService
from tests.support.raw_http import raw_server, reply

CONFIG = """<View><Image name="photo" value="$image"/>
<BrushLabels name="tag" toName="photo"><Label value="road"/><Label value="car"/></BrushLabels></View>"""

MODEL = OneModel("net", "0123456789ab", ("background", "road", "car"))
OTHER = OneModel("other", "ba9876543210", ("sky", "car"))
MODELS = {"net": MODEL, "other": OTHER}

MAPS = {b"a": np.array([[0, 1, 2], [1, 1, 0]], np.uint8), b"b": np.array([[2, 0]], np.uint8)}


def labels_of(image: bytes) -> NDArray[np.uint8]:
    if image not in MAPS:
        raise Refused(415, "not an image")
    return MAPS[image]


def body(*images: str, config: Any = CONFIG) -> bytes:
    tasks = [{"id": k, "data": {"image": f"/{image}"}} for k, image in enumerate(images, 1)]
    return json.dumps({"tasks": tasks, "label_config": config, "project": "1.2", "params": {}}).encode()


def served(head: str) -> bytes | None:
    """Files named by their content; one does not answer."""
    name = head.split()[1][1:]
    return None if name == "slow" else reply(name.encode())


def ask(
    request: bytes,
    name: str | None = None,
    labels: Callable[[bytes], NDArray[Any]] = labels_of,
    files: Callable[[str], bytes | None] = served,
) -> dict[str, Any]:
    async def answer() -> bytes:
        async with raw_server(files) as studio:
            service: Any = StandInService(MODELS, labels)
            return await Backend(service, Settings(label_studio_hosts=(studio.url,))).predict(request, name)

    found: dict[str, Any] = json.loads(asyncio.run(answer()))
    return found


def backend(models: dict[str, OneModel] = MODELS) -> Backend:
    service: Any = StandInService(models, labels_of)
    return Backend(service, Settings())


def strokes(result: Sequence[dict[str, Any]]) -> dict[str, list[list[bool]]]:
    return {
        region["value"]["brushlabels"][0]: brush_pixels(
            bytes(region["value"]["rle"]), region["original_height"], region["original_width"]
        ).tolist()
        for region in result
    }


def test_predictions_in_the_order_of_the_tasks() -> None:
    found = ask(body("b", "a", "b"))
    assert found["errors"] == []
    assert [result["model_version"] for result in found["results"]] == ["net-0123456789ab"] * 3
    first, second, third = (result["result"] for result in found["results"])
    assert strokes(first) == strokes(third) == {"car": [[True, False]]}
    assert strokes(second) == {
        "road": [[False, True, False], [True, True, False]],
        "car": [[False, False, True], [False, False, False]],
    }


def test_another_model_has_other_classes() -> None:
    found = ask(body("b"), "other", lambda _: np.array([[1, 0]], np.uint8))
    assert found["results"][0]["model_version"] == "other-ba9876543210"
    assert strokes(found["results"][0]["result"]) == {"car": [[True, False]]}


class Replaced(StandInService):
    """A service whose model is replaced by one of other classes once it has answered an image."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        super().__init__({"net": MODEL}, labels_of)
        self.classes = classes

    async def answered(self, image: bytes, answer: Answer, model: str | None = None) -> Answered:
        if self.asked:
            self.models = {"net": OneModel("net", "ba9876543210", self.classes)}
        return await super().answered(image, answer, model)


def replaced_by(classes: tuple[str, ...], *images: str) -> dict[str, Any]:
    """Answers to a request during which the model is replaced by one of other classes, with each class as its index."""

    async def answer() -> bytes:
        async with raw_server(served) as studio:
            service: Any = Replaced(classes)
            settings = Settings(label_studio_hosts=(studio.url,))
            return await Backend(service, settings).predict(body(*images), None)

    found: dict[str, Any] = json.loads(asyncio.run(answer()))
    return found


def test_classes_are_those_of_the_version_that_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "tasks_at_once", 1)
    found = replaced_by(("car", "sky", "road"), "a", "a", "a")
    assert found["errors"] == []
    assert [result["model_version"] for result in found["results"]] == ["net-0123456789ab", *["net-ba9876543210"] * 2]
    former, *latter = (strokes(result["result"]) for result in found["results"])
    ones, twos = [[False, True, False], [True, True, False]], [[False, False, True], [False, False, False]]
    assert former == {"road": ones, "car": twos}
    assert latter == [{"car": [[True, False, False], [False, False, True]], "road": twos}] * 2


def test_a_model_is_replaced_by_one_that_has_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "tasks_at_once", 1)
    found = replaced_by(("sky", "sea", "sand"), "a", "b")
    assert [bool(result) for result in found["results"]] == [True, False]
    assert "no label for a class of the model" in found["errors"][0]["error"]


def test_no_task() -> None:
    assert ask(body()) == {"results": [], "errors": []}


def test_a_task_that_fails_is_not_stored_and_takes_no_other_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = ask(body("a", "text", "b"))
    assert found["results"][1] == []  # Label Studio stores a prediction for each item of a list
    assert [len(found["results"][k]["result"]) for k in (0, 2)] == [2, 1]
    assert found["errors"] == [{"task": 2, "error": "not an image"}]
    assert capsys.readouterr().err == "seglight: task 2 of Label Studio: not an image\n"


def test_every_task_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="not an image") as refused:
        ask(body(*["text"] * 7))
    assert refused.value.status == 415
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "seglight: 2 further tasks of Label Studio failed"


def test_a_full_queue_is_waited_for() -> None:
    answers = iter([Refused(429, "full", 0.01), Refused(429, "full", 0.01), MAPS[b"b"]])

    def labels(_: bytes) -> NDArray[Any]:
        answer = next(answers)
        if isinstance(answer, Refused):
            raise answer
        return answer

    assert len(ask(body("b"), labels=labels)["results"][0]["result"]) == 1


def test_what_is_ready_in_time_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "SECONDS", 0.3)
    found = ask(body("slow", "a", "b"))
    assert found["results"][0] == []
    assert [len(result["result"]) for result in found["results"][1:]] == [2, 1]
    assert found["errors"] == [{"task": 1, "error": "not reached within 0.3 s: ask for it again"}]


def test_a_few_images_are_fetched_at_a_time() -> None:
    async def answer() -> tuple[int, dict[str, Any]]:
        most, now = 0, 0

        async with raw_server(served) as studio:

            async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal most, now
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1
                await studio.handle(reader, writer)

            listening = await asyncio.start_server(slowly, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            service: Any = StandInService(MODELS, labels_of)
            settings = Settings(label_studio_hosts=(url,), workers=2)
            async with listening:
                ready = Backend(service, settings)
                answers = await asyncio.gather(*(ready.predict(body(*"ab" * 5), None) for _ in range(2)))
            return most, json.loads(answers[1])

    most, found = asyncio.run(answer())
    assert most == 3  # for all requests together
    assert len(found["results"]) == 10


@pytest.mark.parametrize(
    ("request_body", "status", "message"),
    [
        (b"", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 400, "not a JSON object"),
        (b"{}", 400, "no list of tasks"),
        (b'{"tasks": [1], "label_config": ""}', 400, "no list of tasks"),
        (b'{"tasks": []}', 400, "no label_config"),
        (body("a", config="<View/>"), 422, "neither BrushLabels nor PolygonLabels"),
        (body("a", config="<View>"), 422, "not readable as XML"),
    ],
)
def test_malformed_requests_are_one_line(request_body: bytes, status: int, message: str) -> None:
    with pytest.raises(Refused) as refused:
        ask(request_body)
    assert refused.value.status == status
    assert message in refused.value.reason
    assert "\n" not in refused.value.reason


def test_large_requests_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "MOST_BYTES", 100)
    with pytest.raises(Refused, match="ask for fewer tasks") as refused:
        ask(body("a"))
    assert refused.value.status == 413


def test_health() -> None:
    assert backend().health(None) == {"status": "UP", "model_class": "net"}
    assert backend().health("other") == {"status": "UP", "model_class": "other"}
    with pytest.raises(Refused, match="there is no such model: the models are net, other") as refused:
        backend().health("third")
    assert refused.value.status == 404
    with pytest.raises(Refused, match="still being loaded") as refused:
        backend({}).health(None)
    assert refused.value.status == 503


def test_setup_checks_the_labels(capsys: pytest.CaptureFixture[str]) -> None:
    ready = backend()
    request = json.dumps({"project": "1.2", "schema": CONFIG, "extra_params": None}).encode()
    for _ in range(2):
        assert ready.setup(request, None) == {"model_version": "net-0123456789ab"}
    line = "seglight: net: classes without a label in Label Studio: background\n"
    assert capsys.readouterr().err == line  # once
    with pytest.raises(Refused, match="no label for a class of the model: its labels are sky") as refused:
        ready.setup(json.dumps({"schema": CONFIG.replace("road", "sky").replace("car", "sea")}).encode(), None)
    assert refused.value.status == 422


def test_a_project_whose_labels_are_not_set_up_is_accepted() -> None:
    assert backend().setup(b'{"schema": "<View></View>"}', None) == {"model_version": "net-0123456789ab"}
    assert backend().setup(b"{}", "other") == {"model_version": "other-ba9876543210"}


def test_events() -> None:
    for action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED"):
        assert backend().webhook(json.dumps({"action": action}).encode()) == (201, {"result": None, "status": "ok"})
    assert backend().webhook(b'{"action": "PROJECT_UPDATED"}')[0] == 200
    assert backend().webhook(b"{}")[0] == 200
    with pytest.raises(Refused, match="does not train") as refused:
        backend().webhook(b'{"action": "START_TRAINING"}')
    assert refused.value.status == 501
