import pytest
import torch

from seglight.ops.host_copy import HostCopy


def test_tensors_of_the_host_are_themselves() -> None:
    one, other = torch.arange(3), torch.tensor([True])
    found = HostCopy([one, other]).read()
    assert found[0] is one
    assert found[1] is other
    assert HostCopy([]).read() == []


@pytest.mark.gpu
def test_tensors_of_a_gpu_arrive_before_they_are_read() -> None:
    given = [torch.randint(0, 200, (4, 2000, 2000), device="cuda", dtype=torch.uint8), torch.ones(0, device="cuda")]
    copy = HostCopy(given)
    expected = [tensor.cpu() for tensor in given]
    given[0].zero_()
    assert all(map(torch.equal, copy.read(), expected))
