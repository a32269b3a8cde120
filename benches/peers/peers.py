"""The peers' side of the comparison: prints one JSON object, case -> value.

The work is that of `ours.rs`: a conditional neural spline flow (16 features, 4 conditions, 8 couplings, conditioners
128 x 2, 16 bins, tail bound 5, Adam), a SiLU network 64-512-512-64 and two convolutions, in float32.
"""

import json
import sys
import time

FEATURES, CONDITIONS, WIDTH, COUPLINGS, BINS, BOUND = 16, 4, 128, 8, 16, 5.0
REPETITIONS = 5
BATCHES = (256, 1024, 4096)
CHUNKS = (2048, 10_000)


def seconds(calls, work, wait=lambda result: None):
    """Median seconds of one call, of several runs of `calls` calls."""
    for _ in range(3):
        result = work()
    wait(result)
    times = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        for _ in range(calls):
            result = work()
        wait(result)
        times.append((time.perf_counter() - begin) / calls)
    return sorted(times)[REPETITIONS // 2]


def nflows(threads):
    import torch
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, PiecewiseRationalQuadraticCouplingTransform

    torch.set_num_threads(threads)

    class Conditioner(torch.nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(inputs + CONDITIONS, WIDTH),
                torch.nn.ReLU(),
                torch.nn.Linear(WIDTH, WIDTH),
                torch.nn.ReLU(),
                torch.nn.Linear(WIDTH, outputs),
            )

        def forward(self, x, context=None):
            return self.layers(torch.cat([x, context], 1))

    transforms = []
    for i in range(COUPLINGS):
        mask = torch.zeros(FEATURES)
        mask[i % 2 :: 2] = 1
        transforms.append(
            PiecewiseRationalQuadraticCouplingTransform(
                mask, Conditioner, num_bins=BINS, tails="linear", tail_bound=BOUND
            )
        )
    flow = Flow(CompositeTransform(transforms), StandardNormal([FEATURES]))
    optimiser = torch.optim.Adam(flow.parameters(), 1e-4)
    cases = {}
    for batch in BATCHES:
        x, condition = torch.randn(batch, FEATURES), torch.randn(batch, CONDITIONS)

        def step():
            optimiser.zero_grad()
            loss = -flow.log_prob(x, condition).mean()
            loss.backward()
            optimiser.step()

        cases[f"flow train {batch} samples/s"] = batch / seconds(max(2, 8192 // batch), step)
    with torch.no_grad():
        for chunk in CHUNKS:
            condition = torch.randn(chunk, CONDITIONS)
            draw = lambda: flow._transform.inverse(torch.randn(chunk, FEATURES), condition)
            cases[f"flow sample {chunk} samples/s"] = chunk / seconds(2, draw)
    return cases


def flowjax(threads):
    import equinox
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow

    flow = coupling_flow(
        jr.key(0),
        base_dist=Normal(jnp.zeros(FEATURES)),
        # flowjax counts inner knots, and adds derivatives at the two outer ones: 49 parameters against 47.
        transformer=RationalQuadraticSpline(knots=BINS - 1, interval=BOUND),
        cond_dim=CONDITIONS,
        flow_layers=COUPLINGS,
        nn_width=WIDTH,
        nn_depth=2,
    )
    parameters, static = equinox.partition(flow, equinox.is_inexact_array)
    adam = optax.adam(1e-4)
    cases = {}
    for batch in BATCHES:
        x, condition = jr.normal(jr.key(1), (batch, FEATURES)), jr.normal(jr.key(2), (batch, CONDITIONS))

        @jax.jit
        def update(parameters, state):
            def loss(parameters):
                return -equinox.combine(parameters, static).log_prob(x, condition).mean()

            value, gradients = jax.value_and_grad(loss)(parameters)
            updates, state = adam.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), state, value

        current = [parameters, adam.init(parameters)]

        def step():
            *current[:], value = update(*current)
            return value

        time_per_step = seconds(max(2, 8192 // batch), step, lambda value: value.block_until_ready())
        cases[f"flow train {batch} samples/s"] = batch / time_per_step
    for chunk in CHUNKS:
        condition = jr.normal(jr.key(2), (chunk, CONDITIONS))
        sample = jax.jit(lambda key: equinox.combine(parameters, static).sample(key, (), condition=condition))
        draw = lambda: sample(jr.key(1)).block_until_ready()
        cases[f"flow sample {chunk} samples/s"] = chunk / seconds(2, draw)
    return cases


def jax_mlp(threads):
    import jax
    import jax.numpy as jnp
    import jax.random as jr
    import optax

    sizes = [64, 512, 512, 64]
    keys = jr.split(jr.key(0), len(sizes))
    layers = [
        (jr.normal(key, (i, o)) / i**0.5, jnp.zeros(o)) for key, i, o in zip(keys, sizes, sizes[1:])
    ]
    x, y = jr.normal(keys[0], (1024, 64)), jr.normal(keys[1], (1024, 64))
    adam = optax.adam(1e-3)

    def network(layers, x):
        for weight, bias in layers[:-1]:
            x = jax.nn.silu(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    @jax.jit
    def update(layers, state):
        loss = lambda layers: jnp.mean((network(layers, x) - y) ** 2)
        value, gradients = jax.value_and_grad(loss)(layers)
        updates, state = adam.update(gradients, state, layers)
        return optax.apply_updates(layers, updates), state, value

    current = [layers, adam.init(layers)]

    def step():
        *current[:], value = update(*current)
        return value

    return {"mlp train 1024 ms": 1e3 * seconds(20, step, lambda value: value.block_until_ready())}


def torch_convolution(threads):
    import torch

    torch.set_num_threads(threads)
    cases = {}
    for name, layer, shape in [
        ("convolution", torch.nn.Conv2d(32, 64, 3, padding=1), (128, 32, 28, 28)),
        ("transposed convolution", torch.nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), (128, 64, 14, 14)),
    ]:
        x = torch.randn(shape, requires_grad=True)
        with torch.no_grad():
            cases[f"{name} forward ms"] = 1e3 * seconds(3, lambda: layer(x))

        def step():
            x.grad = None
            layer.zero_grad()
            layer(x).sum().backward()

        cases[f"{name} train ms"] = 1e3 * seconds(3, step)
    return cases


PROGRAMS = {"nflows": nflows, "flowjax": flowjax, "jax": jax_mlp, "torch": torch_convolution}

if __name__ == "__main__":
    name, threads = sys.argv[1], int(sys.argv[2])
    print(json.dumps(PROGRAMS[name](threads)))
