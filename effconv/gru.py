"""Several GRUs with constant inputs, unrolled together at the cheapest exact way. The same function as one GRU cell a step.

What is cheaper than a cell a step: the input gates are computed once, by the caller; the first step needs no hidden product, since
h_0 = 0; the gradient of the hidden weights is formed once from the stored gate gradients, a (3H x T)(T x H) product instead of T
outer products of 3H x H; the pointwise work of all members is one call; narrow members share one batched product.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# The widest hidden state, by device, for which one batched product beats a matrix-vector product a member (measured on a CPU;
# on a GPU the products of narrower layers last less than their launches).
BATCHED_UP_TO = {"cpu": 128, "cuda": 1024}


def batched(weights: Tensor) -> bool:
    """Whether the members' products are one call."""
    return weights.shape[2] <= BATCHED_UP_TO.get(weights.device.type, 128)


def _products(weights: Tensor, vectors: Tensor, active: list[int], out: Tensor, *, transposed: bool = False) -> None:
    """out[g] = weights[g] @ vectors[g] (or its transpose), (G, A, B) and (G, B): for all members, or for the active ones only."""
    if batched(weights):
        # Rows times matrices: several times faster on a CPU than matrices times columns.
        torch.bmm(vectors.unsqueeze(1), weights if transposed else weights.transpose(1, 2), out=out.unsqueeze(1))
        return
    for g in active:
        torch.mv(weights[g].t() if transposed else weights[g], vectors[g], out=out[g])


class ConstantInputGRU(torch.autograd.Function):
    """(G, 3H) input gates, (G, 3H, H) hidden weights, (G, 3H) hidden biases, steps a member -> (T, G, H) hidden states.

    Gate order and equations are torch.nn.GRU's. T is the greatest number of steps; a member's rows beyond its own are not to be used.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weights: Tensor, biases: Tensor, steps: tuple[int, ...]) -> Tensor:
        count, width = gates.shape[0], weights.shape[2]
        length = max(steps)
        states = gates.new_zeros(length + 1, count, width)
        resets_updates = gates.new_empty(length, count, 2 * width)
        candidates = gates.new_empty(length, count, width)
        hidden_candidates = gates.new_empty(length, count, width)  # W_hn h + b_hn
        product = gates.new_zeros(count, 3 * width)
        both = gates[:, : 2 * width] + biases[:, : 2 * width]
        for t in range(length):
            if t:
                _products(weights, states[t], [g for g, own in enumerate(steps) if t < own], product)
            pair = torch.add(both, product[:, : 2 * width], out=resets_updates[t]).sigmoid_()
            hidden = torch.add(biases[:, 2 * width :], product[:, 2 * width :], out=hidden_candidates[t])
            torch.addcmul(gates[:, 2 * width :], pair[:, :width], hidden, out=candidates[t]).tanh_()
            torch.lerp(candidates[t], states[t], pair[:, width:], out=states[t + 1])  # (1 - z) n + z h
        ctx.save_for_backward(weights, states, resets_updates, candidates, hidden_candidates)
        ctx.steps = steps
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weights, states, resets_updates, candidates, hidden_candidates = ctx.saved_tensors
        steps, width = ctx.steps, weights.shape[2]
        length, count = candidates.shape[:2]
        resets, updates = resets_updates[..., :width], resets_updates[..., width:]
        # Derivatives that do not depend on the incoming gradient, for all steps at once.
        by_update = (states[:-1] - candidates) * updates * (1 - updates)
        by_candidate = (1 - updates) * (1 - candidates.square())
        by_reset = by_candidate * hidden_candidates * resets * (1 - resets)
        factors = torch.stack((by_reset, by_update, by_candidate), 2)  # (T, G, 3, H)
        input_gradients = torch.empty_like(factors)
        hidden_gradients = torch.empty_like(factors)
        carried = gradient.new_zeros(count, width)
        through = gradient.new_zeros(count, width)
        with torch.autocast(gradient.device.type, enabled=False):
            for t in reversed(range(length)):
                arriving = gradient[t] + carried
                torch.mul(factors[t], arriving.unsqueeze(1), out=input_gradients[t])
                hidden = hidden_gradients[t].copy_(input_gradients[t])
                hidden[:, 2].mul_(resets[t])
                if t:
                    active = [g for g, own in enumerate(steps) if t < own]
                    _products(weights, hidden.flatten(1), active, through, transposed=True)
                    carried = torch.addcmul(through, arriving, updates[t])
            flat = hidden_gradients.flatten(2)  # (T, G, 3H)
            return (
                input_gradients.sum(0).flatten(1),
                _weight_gradient(flat, states, steps, batched(weights)),
                flat.sum(0),
                None,
            )


def _weight_gradient(hidden_gradients: Tensor, states: Tensor, steps: tuple[int, ...], at_once: bool) -> Tensor:
    """Sum over steps of gate gradient x previous state: (T, G, 3H), (T + 1, G, H) -> (G, 3H, H)."""
    length, count, width = states.shape[0] - 1, states.shape[1], states.shape[2]
    if at_once:
        return torch.bmm(hidden_gradients.permute(1, 2, 0), states[:length].transpose(0, 1))
    out = states.new_empty(count, 3 * width, width)
    for g, own in enumerate(steps):
        torch.mm(hidden_gradients[:own, g].t(), states[:own, g], out=out[g])
    return out
