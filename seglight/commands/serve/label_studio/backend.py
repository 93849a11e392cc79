"""Predictions for Label Studio: requests of its protocol for ML backends, and their answers."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from seglight.commands.serve.label_studio.labelling import Plan, plan_of, unlabelled
from seglight.commands.serve.label_studio.regions import regions_json
from seglight.commands.serve.label_studio.task_images import TaskImages
from seglight.commands.serve.models import ServedModel, served
from seglight.commands.serve.refusals import Refused
from seglight.commands.serve.service import Service
from seglight.commands.serve.settings import Settings
from seglight.errors import UserError, say

MOST_BYTES = 1 << 26
"""Bytes of a request; tasks come with their annotations. Larger ones would keep the web process busy."""

SECONDS = 90.0
"""Time for all tasks of a request. Label Studio leaves after 100 s and keeps nothing; asked again, it sends those tasks
only that have no prediction yet."""

SHOWN = 5
"""Failed tasks of a request that are printed."""

MOST_REMARKS = 100

START = "START_TRAINING"
EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED")


class Done(NamedTuple):
    """Regions of a task.

    Args:
        regions: List of regions as JSON.
        version: Version of the model that predicted them.
    """

    regions: bytes
    version: str


class Backend:
    """The answers of an ML backend.

    Args:
        service: Models.
        settings: Settings of the server.

    Raises:
        UserError: A host that images may be fetched from, or Label Studio's key, is not one.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._images = TaskImages(settings.label_studio_hosts, settings.label_studio_key, settings.max_bytes)
        self._parallel = settings.tasks_at_once
        self._at_once = asyncio.Semaphore(self._parallel)
        self._remarks: set[str] = set()

    def health(self, name: str | None) -> dict[str, Any]:
        """Whether a model is there.

        Args:
            name: Name of the model; None: the first one.

        Raises:
            Refused: There is no such model.
        """
        return {"status": "UP", "model_class": self._model(name).name}

    def setup(self, body: bytes, name: str | None) -> dict[str, Any]:
        """Check that a project has labels for the classes of a model.

        A project whose labels are not set up yet is accepted.

        Args:
            body: Request, with the labelling configuration as `schema`.
            name: Name of the model; None: the first one.

        Raises:
            Refused: The request is malformed, there is no such model, or no label is one of its classes.
        """
        model = self._model(name)
        schema = _object(body).get("schema")
        if isinstance(schema, str) and "toName" in schema:
            left_out = unlabelled(_plan(schema, model), model.classes)
            if left_out:
                self._remark(f"{model.name}: classes without a label in Label Studio: {', '.join(left_out)}")
        return {"model_version": _version(model)}

    def webhook(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Take notice of an event. Nothing is learned from annotations here.

        Args:
            body: Request, with the event as `action`.

        Returns:
            Status and answer.

        Raises:
            Refused: The request is malformed, or asks for a training.
        """
        action = _object(body).get("action")
        if action == START:
            raise Refused(501, "this server does not train: export the project, and train with seglight fit")
        if action not in EVENTS:
            return 200, {"status": "Unknown event"}
        return 201, {"result": None, "status": "ok"}

    async def predict(self, body: bytes, name: str | None) -> bytes:
        """Predict the images of tasks.

        A task whose image can't be predicted gets an empty list, which Label Studio does not store, and a line under
        `errors`.

        Args:
            body: Request, with `tasks` and `label_config`.
            name: Name of the model; None: the first one.

        Returns:
            JSON with a prediction for each task under `results`.

        Raises:
            Refused: The request is malformed, there is no such model or no label for it, or every task failed.
        """
        model = self._model(name)
        request = _object(body)
        tasks = request.get("tasks")
        config = request.get("label_config")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise Refused(400, "the request has no list of tasks")
        if not isinstance(config, str):
            raise Refused(400, "the request has no label_config")
        outcomes = await self._predict_all(tasks, Labelling(config, model), model.name)
        failed = [(task, one) for task, one in zip(tasks, outcomes, strict=True) if isinstance(one, Refused)]
        _print_failed(failed)
        if failed and len(failed) == len(tasks):
            raise failed[0][1]
        errors = [{"task": task.get("id"), "error": refused.reason} for task, refused in failed]
        results = b", ".join(map(_result, outcomes))
        return b'{"results": [' + results + b'], "errors": ' + json.dumps(errors).encode() + b"}"

    def _model(self, name: str | None) -> ServedModel:
        return served(self._service.models, name)

    def _remark(self, line: str) -> None:
        """Print a line once: Label Studio repeats its requests."""
        if line not in self._remarks and len(self._remarks) < MOST_REMARKS:
            self._remarks.add(line)
            say(line)

    async def _predict_all(
        self, tasks: Sequence[Mapping[str, Any]], labelling: "Labelling", model: str
    ) -> list[Done | Refused]:
        late = Refused(504, f"not reached within {SECONDS:g} s: ask for it again")
        outcomes: list[Done | Refused] = [late] * len(tasks)
        remaining = iter(enumerate(tasks))

        async def work() -> None:
            for index, task in remaining:
                outcomes[index] = await self._predict_one(task, labelling, model)

        with suppress(TimeoutError):  # the tasks that were not reached say so
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
                for _ in range(min(self._parallel, len(tasks))):
                    group.create_task(work())
        return outcomes

    async def _predict_one(self, task: Mapping[str, Any], labelling: "Labelling", model: str) -> Done | Refused:
        try:
            async with self._at_once:
                image = await self._images.fetch(task, labelling.plan.image_key)
                while True:
                    classes, plan = labelling.classes, labelling.plan
                    try:
                        answered = await self._service.answered(image, partial(regions_json, plan=plan), model)
                        if answered.model.classes == classes:
                            return Done(answered.content, _version(answered.model))
                        labelling.follow(self._model(model))  # the model was replaced meanwhile
                    except Refused as refused:
                        if refused.status != 429:
                            raise
                        await asyncio.sleep(refused.retry_after or 1.0)
        except Refused as refused:
            return refused


class Labelling:
    """How a project's labels stand for the classes of a model, which may be replaced by one of other classes.

    Args:
        config: Labelling configuration of the project.
        model: The model.

    Attributes:
        classes: Names of the model's classes, by index.
        plan: The labels that they are written as.

    Raises:
        Refused: There is no label for any class.
    """

    def __init__(self, config: str, model: ServedModel) -> None:
        self._config = config
        self.classes = model.classes
        self.plan = _plan(config, model)

    def follow(self, model: ServedModel) -> None:
        """Write the classes of another version from now on.

        Args:
            model: That version.

        Raises:
            Refused: There is no label for any class.
        """
        if model.classes != self.classes:
            self.plan = _plan(self._config, model)
            self.classes = model.classes


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MOST_BYTES:
        raise Refused(413, f"the request has {len(body)} bytes, and at most {MOST_BYTES} are read: ask for fewer tasks")
    try:
        found = json.loads(body)
    except (RecursionError, ValueError) as error:
        raise Refused(400, "the request is not JSON") from error
    if not isinstance(found, dict):
        raise Refused(400, "the request is not a JSON object")
    return found


def _plan(config: str, model: ServedModel) -> Plan:
    try:
        return plan_of(config, model.classes)
    except UserError as error:
        raise Refused(422, str(error)) from error


def _version(model: ServedModel) -> str:
    return f"{model.name}-{model.version}"


def _result(outcome: Done | Refused) -> bytes:
    if isinstance(outcome, Refused):
        return b"[]"
    return b'{"result": ' + outcome.regions + b', "model_version": ' + json.dumps(outcome.version).encode() + b"}"


def _print_failed(failed: Sequence[tuple[Mapping[str, Any], Refused]]) -> None:
    for line in _failures(failed):
        say(line)


def _failures(failed: Sequence[tuple[Mapping[str, Any], Refused]]) -> Iterator[str]:
    for task, refused in failed[:SHOWN]:
        yield f"task {str(task.get('id'))[:20]} of Label Studio: {refused.reason}"
    if len(failed) > SHOWN:
        yield f"{len(failed) - SHOWN} further tasks of Label Studio failed"
