"""Top-1 and top-5 of the float network and of the committed int8 file on a folder of labelled pictures."""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

import build
import network
from calibration import normalise

SHARED = Path(os.environ.get("ACHADO_SHARED", build.HERE.parents[2] / "shared"))
LARGEST_LOSS = 0.03  # of top-1, int8 against float


def prepare(path):
    """uint8 [224, 224, 3]: short side to round(224 / 0.875) bilinear, centre crop."""
    picture = Image.open(path).convert("RGB")
    factor = round(network.SIZE / 0.875) / min(picture.size)
    picture = picture.resize([round(length * factor) for length in picture.size], Image.Resampling.BILINEAR)
    left, top = ((length - network.SIZE) // 2 for length in picture.size)
    return np.asarray(picture.crop((left, top, left + network.SIZE, top + network.SIZE)))


def interpreter(data, reference=False):
    """A function uint8 [224, 224, 3] -> uint8 [1000] that runs the `.tflite` bytes `data` with LiteRT.

    `reference`: the built-in reference kernels instead of XNNPACK.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    runner = Interpreter(model_content=data, experimental_op_resolver_type=resolver, num_threads=1)
    runner.allocate_tensors()
    image, scores = runner.get_input_details()[0]["index"], runner.get_output_details()[0]["index"]

    def run(pixels):
        runner.set_tensor(image, pixels[None])
        runner.invoke()
        return runner.get_tensor(scores)[0]

    return run


def top(scores, count):
    """Indexes of the `count` largest, equal ones by index."""
    return np.argsort(-scores.astype(np.float64), kind="stable")[:count]


def probabilities(keras):
    """A function uint8 [224, 224, 3] -> float32 [1000] that runs the Keras model."""
    return lambda pixels: keras(normalise(pixels)[None], training=False).numpy()[0]


def count(runs, rows, folder):
    """Prints each run's top-1, top-5 and mean log-probability of the truth; returns {name: (top-1, top-5) hits}.

    An integer score of 0 counts as half of its last place in the logarithm.
    """
    right = {name: np.zeros(2, int) for name in runs}
    logarithms = dict.fromkeys(runs, 0.0)
    for file, truth in rows:
        pixels, truth = prepare(folder / file), int(truth)
        for name, run in runs.items():
            scores = run(pixels)
            best = top(scores, 5)
            right[name] += [best[0] == truth, truth in best]
            unit = 256 if scores.dtype == np.uint8 else 1
            logarithms[name] += np.log(max(float(scores[truth]), 0.5 / 256 * unit) / unit)
    for name, (first, fifth) in right.items():
        total = len(rows)
        log = logarithms[name] / total
        print(f"{name:33} top-1 {first / total:.4f}  top-5 {fifth / total:.4f}  log p {log:.3f}  n {total}")
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=build.OUTPUT)
    parser.add_argument("--folder", type=Path, default=SHARED / "models" / "accuracy", help="holds truth.tsv")
    parser.add_argument("--padding", action="store_true", help="also the float network with PyTorch's padding")
    arguments = parser.parse_args()
    rows = [line.split("\t") for line in (arguments.folder / "truth.tsv").read_text().splitlines()[1:]]
    data = arguments.model.read_bytes()
    keras = build.float_model(arguments.cache)
    runs = {
        "float (Keras)": probabilities(keras),
        "int8 (LiteRT, XNNPACK)": interpreter(data),
        "int8 (LiteRT, reference kernels)": interpreter(data, reference=True),
    }
    right = count(runs, rows, arguments.folder)
    if arguments.padding:
        count(
            {"float, symmetric padding": probabilities(build.float_model(arguments.cache, "symmetric"))},
            rows,
            arguments.folder,
        )
    floats, *integers = (counts[0] / len(rows) for counts in right.values())
    if floats - min(integers) > LARGEST_LOSS:
        raise SystemExit(f"int8 loses more than {LARGEST_LOSS} of top-1")


if __name__ == "__main__":
    main()
