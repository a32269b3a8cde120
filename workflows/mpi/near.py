"""Compares two trained run directories: near.py A B. Losses have to agree to 1e-5 of themselves, weights to 1e-4."""
import array
import json
import pathlib
import sys

LOSS_TOLERANCE = 1e-5
WEIGHT_TOLERANCE = 1e-4
TYPES = {"F32": "f", "I32": "i"}


def losses(run):
    """Losses of all epochs."""
    epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [epoch[key] for epoch in epochs for key in ("train_loss", "validation_loss")]


def weights(run):
    """All weights in the order of the file, see https://github.com/huggingface/safetensors."""
    data = (run / "model/weights.safetensors").read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    for tensor in header.values():
        first, end = tensor["data_offsets"]
        yield from array.array(TYPES[tensor["dtype"]], data[begin + first : begin + end])


def main():
    a, b = map(pathlib.Path, sys.argv[1:])
    pairs = list(zip(losses(a), losses(b), strict=True))
    if not pairs:
        sys.exit("no epochs")
    loss = max(abs(x - y) / abs(y) for x, y in pairs)
    weight = max(abs(x - y) for x, y in zip(weights(a), weights(b), strict=True))
    print(f"  losses of {len(pairs) // 2} epochs differ by {loss:.1e} of themselves, weights by up to {weight:.1e}")
    if not (loss <= LOSS_TOLERANCE and weight <= WEIGHT_TOLERANCE):
        sys.exit("too much")


main()
