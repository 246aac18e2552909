"""The fast kernel predictor against torch.nn.GRUCell, one call a position: the same kernels, the same gradients."""

import pytest
import torch
from torch import nn

from effconv import KernelPredictor, KernelPredictors
from effconv.gru import BATCHED_UP_TO
from effconv.kernel_predictor import predictor_parameters


def cell_of(group, member):
    """A GRUCell with one member's weights."""
    count, width3, inputs = group.input_weights.shape
    cell = nn.GRUCell(inputs, width3 // 3, dtype=group.z.dtype)
    names = ("input_weights", "hidden_weights", "input_biases", "hidden_biases")
    for own, name in zip((cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh), names, strict=True):
        own.data.copy_(getattr(group, name)[member])
    return cell


def unrolled(cell, z, size):
    state, states = None, []
    for _ in range(size * size):
        state = cell(z.unsqueeze(0), state)
        states.append(state[0])
    return torch.stack(states)


@pytest.mark.parametrize(
    "shapes", [[(2, 3)] * 3, [(1, 4), (2, 2), (3, 1)], [(17, 16)] * 2], ids=["narrow", "mixed", "wide"]
)
def test_literal_equals_a_cell_a_position(shapes):
    sizes = [3, 1, 4][: len(shapes)]
    predictors = KernelPredictors(shapes, generator=torch.Generator().manual_seed(0)).double()
    kernels = predictors(sizes)
    weights = [torch.randn(kernel.shape, dtype=torch.float64) for kernel in kernels]
    sum((kernel * weight).sum() for kernel, weight in zip(kernels, weights, strict=True)).backward()
    for width, layers in predictors.members.items():
        group = predictors.groups[str(width)]
        for member, layer in enumerate(layers):
            (inner, outer), size = shapes[layer], sizes[layer]
            cell = cell_of(group, member)
            # Eq. 5: step i * s + j is position (i, j), its c_l x c_{l-1} entries the hidden state
            expected = unrolled(cell, group.z[member], size).reshape(size, size, outer, inner).permute(2, 3, 0, 1)
            torch.testing.assert_close(kernels[layer], expected, rtol=1e-12, atol=1e-14)
            (expected * weights[layer]).sum().backward()
            for name, own in [("input_weights", cell.weight_ih), ("hidden_weights", cell.weight_hh)]:
                torch.testing.assert_close(getattr(group, name).grad[member], own.grad, rtol=1e-9, atol=1e-13)
            for name, own in [("input_biases", cell.bias_ih), ("hidden_biases", cell.bias_hh)]:
                torch.testing.assert_close(getattr(group, name).grad[member], own.grad, rtol=1e-9, atol=1e-13)


def test_wide_case_takes_the_unbatched_road():
    assert 17 * 16 > BATCHED_UP_TO["cpu"] >= 64


def test_projected_equals_gru_and_linear_map():
    predictors = KernelPredictors(
        [(2, 3), (4, 1)], variant="projected", hidden=5, generator=torch.Generator().manual_seed(0)
    ).double()
    kernels = predictors([2, 3])
    group = predictors.groups["5"]
    for layer, (shape, size) in enumerate([((2, 3), 2), ((4, 1), 3)]):
        states = unrolled(cell_of(group, layer), group.z[layer], size)
        flat = states @ predictors.projections[layer] + predictors.offsets[layer]
        torch.testing.assert_close(kernels[layer], flat.reshape(size, size, shape[1], shape[0]).permute(2, 3, 0, 1))


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("variant", ["literal", "projected"])
def test_shape(size, variant):
    assert KernelPredictor(3, 4, variant, hidden=6)(size).shape == (4, 3, size, size)


def test_gradcheck():
    predictor = KernelPredictor(1, 2, generator=torch.Generator().manual_seed(0)).double()
    group = predictor.groups["2"]
    from effconv.gru import ConstantInputGRU

    gates = torch.randn(1, 6, dtype=torch.float64, requires_grad=True)
    inputs = (gates, group.hidden_weights, group.hidden_biases)
    assert torch.autograd.gradcheck(lambda g, w, b: ConstantInputGRU.apply(g, w, b, (5,)), inputs)


def test_smaller_kernels_are_prefixes():
    predictor = KernelPredictor(2, 2, generator=torch.Generator().manual_seed(0))
    small, large = predictor(2), predictor(3)
    torch.testing.assert_close(small.flatten(2), large.flatten(2)[..., :4])


def test_projected_starts_with_hes_spread():
    kernel = KernelPredictor(32, 32, "projected", generator=torch.Generator().manual_seed(0))(3)
    assert kernel.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("variant", ["literal", "projected"])
def test_parameter_formula(variant):
    shapes = [(2, 3), (4, 4)]
    predictors = KernelPredictors(shapes, variant=variant, hidden=7)
    assert predictor_parameters(shapes, variant, 7) == sum(parameter.numel() for parameter in predictors.parameters())


def test_literal_size_of_resnet20():
    # 6 layers 16x16, 16x32, 5 of 32x32, 32x64, 5 of 64x64: about 290 million, most of it 3 * 4096^2 = 50.3 million a 64x64 layer
    shapes = [(16, 16)] * 6 + [(16, 32)] + [(32, 32)] * 5 + [(32, 64)] + [(64, 64)] * 5
    assert predictor_parameters(shapes, "literal") == pytest.approx(288e6, rel=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_and_cuda_agree():
    shapes = [(17, 16), (2, 3), (17, 16)]
    predictors = KernelPredictors(shapes, generator=torch.Generator().manual_seed(0)).double()
    on_cpu = predictors([3, 2, 4])
    sum(kernel.square().sum() for kernel in on_cpu).backward()
    gradients = [parameter.grad.clone() for parameter in predictors.parameters()]
    predictors.zero_grad()
    on_cuda = predictors.cuda()([3, 2, 4])
    sum(kernel.square().sum() for kernel in on_cuda).backward()
    for one, other in zip(on_cpu, on_cuda, strict=True):
        torch.testing.assert_close(one, other.cpu(), rtol=1e-10, atol=1e-12)
    for one, other in zip(gradients, predictors.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad.cpu(), rtol=1e-9, atol=1e-12)
