"""A search over sizes and dilations against torch's dilated convolution, and the network that is trained with what it finds."""

import pytest
import torch
import torch.nn.functional as F

import baselines
from baselines.dash import DashSearch
from baselines.dilated_resnet import DilatedConv2d
from baselines.size_choice import ChoiceOptions
from effconv import cifar_resnet, count_macs, count_parameters, same_conv2d

# (size, dilation) within 7 x 7, by hand; the pixels that each covers, and where it begins around the middle, (3, 3): even ones reach
# one further at the end.
BEGINS = {
    (1, 1): 3, (2, 1): 3, (2, 2): 2, (3, 1): 2, (2, 3): 2, (4, 1): 2, (2, 4): 1, (3, 2): 1, (5, 1): 1, (2, 5): 1, (6, 1): 1,
    (2, 6): 0, (3, 3): 0, (4, 2): 0, (7, 1): 0,
}  # fmt: skip


def search_of(*, budget=4000, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(4, 4, 8))
    return DashSearch(model, input_shape=(3, 16, 16), parameters=budget, options=ChoiceOptions(**options), seed=0)


def network(**arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return baselines.build("dilated_resnet20", in_channels=3, num_classes=10, image_size=32, **arguments)


def kernels_of(search):
    """The first layer's kernels, one a candidate, taken out of the parameter by hand."""
    flat, found, start = search.kernels[0], {}, 0
    for size, dilation in search.candidates(7):
        found[size, dilation] = flat[:, :, start : start + size * size].reshape(4, 4, size, size)
        start += size * size
    assert start == flat.shape[2] == 1 + 6 * 4 + 3 * 9 + 2 * 16 + 25 + 36 + 49
    return found


def test_candidates_are_all_sizes_and_dilations_within_the_greatest_extent():
    search = search_of()
    assert set(search.candidates(7)) == set(BEGINS)
    for smaller in range(1, 7):
        few = search.candidates(smaller)
        assert few == search.candidates(7)[: len(few)]
        assert set(few) == {(size, dilation) for size, dilation in BEGINS if dilation * (size - 1) < smaller}


def test_each_candidate_is_torchs_dilated_convolution():
    search, images = search_of(), torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    for place, (candidate, kernel) in enumerate(kernels_of(search).items()):
        weights, begin = F.one_hot(torch.tensor(place), len(BEGINS)).float(), BEGINS[candidate]
        found = same_conv2d(images, search.mixed_kernel(search.kernels[0], 7, weights))
        size, dilation = candidate
        before, after = 3 - begin, dilation * (size - 1) - (3 - begin)
        padded = F.pad(images, (before, after, before, after))
        torch.testing.assert_close(found, F.conv2d(padded, kernel, dilation=dilation), rtol=1e-4, atol=1e-5)


def test_a_mixture_is_the_sum_of_the_candidates_outputs():
    search, images = search_of(), torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    weights = torch.softmax(torch.randn(len(BEGINS), generator=torch.Generator().manual_seed(0)), 0)
    expected = 0
    for weight, ((size, dilation), kernel) in zip(weights, kernels_of(search).items(), strict=True):
        begin = BEGINS[size, dilation]
        before, after = 3 - begin, dilation * (size - 1) - (3 - begin)
        expected += weight * F.conv2d(F.pad(images, (before, after, before, after)), kernel, dilation=dilation)
    together = same_conv2d(images, search.mixed_kernel(search.kernels[0], 7, weights))
    torch.testing.assert_close(together, expected, rtol=1e-4, atol=1e-5)


def test_every_candidate_takes_part_and_none_of_even_size_where_odd_ones_are_asked_for():
    search = search_of().train()
    for kernel in search.step_kernels():
        assert kernel.abs().gt(0).all()
    sum(kernel.sum() for kernel in search.step_kernels()).backward()
    assert search.logits.grad.ne(0).all()
    odd = search_of(odd_only=True).train()
    even = [place for place, (size, _) in enumerate(odd.candidates(7)) if size % 2 == 0]
    assert odd._weights()[:, even].eq(0).all()
    odd.set_sizes([1, 3, 5, 7, 1, 3])
    assert set(odd.sizes) <= {1, 3, 5, 7}


def test_the_outcome_is_the_likeliest_size_with_its_likeliest_dilation():
    search = search_of(budget=None)
    chosen = [(3, 2), (4, 2), (1, 1), (2, 5), (7, 1), (3, 1)]
    with torch.no_grad():
        for layer, candidate in enumerate(chosen):
            search.logits[layer, search.candidates(7).index(candidate)] = 1.0
        search.logits[0, search.candidates(7).index((3, 3))] = 0.9
    assert search.sizes == tuple(size for size, _ in chosen)
    assert search.dilations(search.sizes) == tuple(dilation for _, dilation in chosen)
    search.set_sizes([3] * 6)
    assert search.dilations([3] * 6) == (1,) * 6


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "dilation"), sorted(set(BEGINS) - {(1, 1)}))
def test_a_dilated_layer_is_torchs(size, dilation, stride):
    torch.manual_seed(0)
    layer, images = DilatedConv2d(3, 5, size, dilation, stride), torch.randn(2, 3, 9, 10)
    before = 3 - BEGINS[size, dilation]
    after = dilation * (size - 1) - before
    expected = F.conv2d(F.pad(images, (before, after) * 2), layer.weight, stride=stride, dilation=dilation)
    assert expected.shape[2:] == (-(-9 // stride), -(-10 // stride))
    torch.testing.assert_close(layer(images), expected)


def test_dilation_changes_neither_parameters_nor_work_nor_first_weights():
    sizes, dilations = [3, 2, 4, 1, 5, 3] * 3, [3, 1, 2, 1, 1, 2] * 3
    plain, dilated = network(kernel_sizes=sizes), network(kernel_sizes=sizes, dilations=dilations)
    assert count_parameters(network()) == 269_722  # He et al.: 0.27M
    assert count_parameters(dilated) == count_parameters(plain)
    assert count_macs(dilated, (3, 32, 32)) == count_macs(plain, (3, 32, 32))
    assert dilated.kernel_sizes == tuple(sizes) and dilated.dilations == tuple(dilations)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(dilated.state_dict()[name], value, rtol=0, atol=0)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(plain.eval()(images), dilated.eval()(images))


@pytest.mark.parametrize("dilations", [[1] * 17, [0] + [1] * 17])
def test_dilations_that_are_not_one_for_each_layer_are_refused(dilations):
    with pytest.raises(ValueError, match="give 18 whole numbers from 1 up"):
        network(dilations=dilations)
