#!/usr/bin/env python3
"""Bits per dimension of a flow of MNIST by other programs than simile: splines of nflows, networks and automatic
differentiation of PyTorch, all in double precision; only weights and fitted numbers are simile's.

    pip install torch==2.15.0 nflows==0.14 pyarrow safetensors
    python bits_per_dimension.py RUN TEST.parquet

Prints the figure of TEST.parquet beside that of RUN/validation/metrics.json. The images are the same, the noise is not,
and here it fills whole levels, of which simile leaves out 6e-5 at either end: about 0.001 more bits.
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import torch
from nflows.transforms.splines import unconstrained_rational_quadratic_spline
from safetensors.numpy import load_file

torch.set_default_dtype(torch.float64)
BATCH = 500

run, test = Path(sys.argv[1]), sys.argv[2]
manifest = json.loads((run / "model/manifest.json").read_text())
fitted = json.loads((run / "model/preprocessing.json").read_text())
weights = {name: torch.tensor(value) for name, value in load_file(run / "model/weights.safetensors").items()}
flow = manifest["config"]["model"]
if flow["kind"] != "flow" or flow["residual"] or flow["permutation"] == "lu":
    sys.exit("this script knows flows of plain networks and fixed permutations alone")
[group] = manifest["space"]["target_groups"]
features, conditions = group["end"] - group["start"], manifest["space"]["conditions"]
is_affine = flow["transform"] == "affine"


def forward(steps, x, generator):
    """Applies fitted preprocessing steps, elementwise but for one_hot."""
    for step in steps:
        numbers = {key: torch.tensor(value) for key, value in step.items() if isinstance(value, (list, float))}
        match step["kind"]:
            case "one_hot":
                x = (x == numbers["categories"]).to(x.dtype)
            case "dequantize":
                x = x + numbers["width"] * torch.rand(x.shape, generator=generator)
            case "logit":
                low, high = numbers["range"]
                u = numbers["alpha"] + (1 - 2 * numbers["alpha"]) * (x - low) / (high - low)
                x = torch.logit(u)
            case "standardize":
                x = (x - numbers["mean"]) / numbers["std"]
            case other:
                sys.exit(f"this script does not know the step {other}")
    return x


def network(packed, x, sizes):
    """A perceptron with rectifiers; `packed` holds weights and biases, layer by layer."""
    for index, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        matrix, bias, packed = packed.split([inputs * outputs, outputs, len(packed) - (inputs + 1) * outputs])
        x = torch.nn.functional.linear(x if index == 0 else torch.relu(x), matrix.reshape(outputs, inputs), bias)
    return x


def transform(parameters, x):
    """Moves features by a spline or affinely, with log|dy/dx| summed over them."""
    if is_affine:
        log_scale, shift = parameters.reshape(*x.shape, 2).unbind(-1)
        log_scale = 3 * torch.tanh(log_scale / 3)
        return x * log_scale.exp() + shift, log_scale.sum(1)
    bins = flow["bins"]
    widths, heights, derivatives = parameters.reshape(*x.shape, 3 * bins - 1).split([bins, bins, bins - 1], -1)
    # In nflows parameters of zero give a slope of softplus(0) + 0.001 at a knot, here they give 1.
    shift = math.log(math.expm1(1 - 1e-3))
    bound = flow["tail_bound"]
    knots = widths, heights, derivatives + shift
    y, log = unconstrained_rational_quadratic_spline(x, *knots, tails="linear", tail_bound=bound)
    return y, log.sum(1)


def log_prob(x, condition):
    log = torch.zeros(len(x))
    kept = features // 2
    parameters = 2 if is_affine else 3 * flow["bins"] - 1
    sizes = [kept + conditions, *[flow["width"]] * flow["hidden"], (features - kept) * parameters]
    for layer in range(flow["couplings"]):
        name = f"groups.0.couplings.{layer}."
        x = x[:, weights[name + "permutation.order"].long()]
        stays, moves = x.split([kept, features - kept], 1)
        packed = weights[name + "conditioner.weights"].to(torch.float64)
        moves, more = transform(network(packed, torch.cat([stays, condition], 1), sizes), moves)
        x, log = torch.cat([stays, moves], 1), log + more
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(1) + log


[of_condition] = [column["steps"] for column in fitted["conditions"]]
[of_target] = [column["steps"] for column in fitted["targets"]]
generator = torch.Generator().manual_seed(1)
bits = []
for batch in parquet.read_table(test, columns=["image", "digit"]).to_batches(max_chunksize=BATCH):
    image = torch.tensor(np.stack(batch["image"].to_numpy(zero_copy_only=False)).astype(np.float64))
    digit = torch.tensor(batch["digit"].to_numpy(zero_copy_only=False).astype(np.float64))[:, None]
    image.requires_grad_()
    x = forward(of_target, image, generator)
    # Every number depends on its own pixel alone: the gradient of the sum is the diagonal of the Jacobian.
    [slope] = torch.autograd.grad(x.sum(), image)
    with torch.no_grad():
        log = log_prob(x, forward(of_condition, digit, generator)) + slope.log().sum(1)
    bits.append(-log / (features * math.log(2)))
bits = torch.cat(bits)
print(f"nflows: {bits.mean():.5f} ± {bits.std() / math.sqrt(len(bits)):.5f} bits per dimension of {len(bits)} images")
likelihood = json.loads((run / "validation/metrics.json").read_text())["global"]["likelihood"]
print("simile: {value:.5f} ± {error:.5f}".format(**likelihood["bits_per_dimension"]), "of", likelihood["events"])
