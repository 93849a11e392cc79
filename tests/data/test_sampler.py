import pytest

from seglight.data.sampler import EvalSampler, Key, TrainSampler


def train_order(length: int, seed: int, epoch: int, rank: int = 0, world_size: int = 1) -> list[Key]:
    sampler = TrainSampler(length, seed, rank, world_size)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(list(sampler))
    return list(sampler)


def test_an_epoch_is_a_permutation_of_seed_and_epoch() -> None:
    order = train_order(50, seed=3, epoch=2)
    assert sorted(order) == [(2, index) for index in range(50)]
    assert order == train_order(50, seed=3, epoch=2)

    def indices(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(index for _, index in train_order(50, seed, epoch))

    assert len({indices(0, 0), indices(0, 1), indices(1, 0), indices(1, 1), tuple(range(50))}) == 5


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_training_shares_are_equal_disjoint_and_stride_one_order(world_size: int) -> None:
    whole = train_order(20, seed=0, epoch=1)
    shares = [train_order(20, 0, 1, rank, world_size) for rank in range(world_size)]
    assert {len(share) for share in shares} == {20 // world_size}
    interleaved = [key for step in zip(*shares, strict=True) for key in step]
    assert interleaved == whole[: 20 - 20 % world_size]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("length", [1, 7, 12])
def test_evaluation_sees_each_image_exactly_once(length: int, batch_size: int, world_size: int) -> None:
    samplers = [EvalSampler(length, batch_size, rank, world_size) for rank in range(world_size)]
    batches = [list(sampler) for sampler in samplers]
    keys = [key for share in batches for batch in share for key in batch]
    assert sorted(keys) == [(0, index) for index in range(length)]
    assert [len(sampler) for sampler in samplers] == [len(share) for share in batches]
    assert max(len(batch) for share in batches for batch in share) <= batch_size
    assert all(batches), "a rank without a batch would stay away from what the others wait for together"


def test_evaluation_keeps_the_order_of_the_split() -> None:
    assert list(EvalSampler(8, 2, rank=1, world_size=3)) == [[(0, 1), (0, 4)], [(0, 7)]]


def test_a_rank_beyond_the_last_image_has_a_batch_of_none() -> None:
    assert list(EvalSampler(2, 4, rank=2, world_size=3)) == [[]]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_an_epoch_can_begin_within_at_any_number_of_processes(world_size: int) -> None:
    """8 samples were done by two processes: the others share what is left of the same order."""
    shares = []
    for rank in range(world_size):
        sampler = TrainSampler(23, 0, rank, world_size)
        sampler.start_at(1, 8)
        shares.append(list(sampler))
        sampler.set_epoch(2)
        assert list(sampler) == train_order(23, 0, 2, rank, world_size)
    assert {len(share) for share in shares} == {15 // world_size}
    interleaved = [key for step in zip(*shares, strict=True) for key in step]
    assert interleaved == train_order(23, 0, 1)[8 : 8 + len(interleaved)]


def test_an_evaluation_can_begin_within_once() -> None:
    sampler = EvalSampler(7, 2, rank=0, world_size=1)
    sampler.start_at(2)
    assert list(sampler) == [[(0, 4), (0, 5)], [(0, 6)]]
    assert len(sampler) == 4
    assert next(iter(sampler)) == [(0, 0), (0, 1)]
