"""What TensorFlow Lite answers when it opens a file of the Maker, beside achado.

Run from the repository's root with the package built into pkg/:
    python scripts/maker/litert.py MODEL.tflite FOLDER [OTHER.tflite]

Prints how many pictures of FOLDER (a folder for each class) have the same best class in both, and the
largest difference of a score. With OTHER, a second export of the same head, how many of its best
classes differ from MODEL's.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

NODE = """
import { readFileSync } from "node:fs";
import { createClassifier } from "./pkg/dist/node.js";
const [model, pixels, size] = process.argv.slice(1);
const classifier = await createClassifier({ model });
const all = readFileSync(pixels);
const side = Number(size);
const scores = [];
for (let at = 0; at < all.length; at += side * side * 4) {
  const data = new Uint8ClampedArray(all.subarray(at, at + side * side * 4));
  const { classifications } = await classifier.classify({ data, width: side, height: side });
  const row = [];
  for (const { index, score } of classifications[0].categories) row[index] = score;
  scores.push(row);
}
console.log(JSON.stringify(scores));
"""


def litert(model, pictures):
    interpreter = Interpreter(str(model))
    interpreter.allocate_tensors()
    [given], [found] = interpreter.get_input_details(), interpreter.get_output_details()
    scores = []
    for picture in pictures:
        x = picture[None, ..., :3]
        if given["dtype"] == np.int8:
            x = (x.astype(np.int16) - 128).astype(np.int8)
        elif given["dtype"] == np.float32:
            mean, std = FLOAT
            x = ((x - np.float32(mean)) / np.float32(std)).astype(np.float32)
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(found["index"])[0]
        if found["dtype"] != np.float32:
            scale, zero = found["quantization"]
            y = scale * (y.astype(np.float32) - zero)
        scores.append(y)
    return np.array(scores), given["shape"][1]


def achado(model, pictures, side):
    with tempfile.NamedTemporaryFile() as file:
        np.array(pictures).tofile(file)
        file.flush()
        command = ["node", "--input-type=module", "-e", NODE, str(model), file.name, str(side)]
        return np.array(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def compare(model, files):
    side = Interpreter(str(model)).get_input_details()[0]["shape"][1]
    images = [Image.open(file).convert("RGBA").resize((side, side), Image.BILINEAR) for file in files]
    pictures = [np.asarray(image) for image in images]
    theirs, _ = litert(model, pictures)
    ours = achado(model, pictures, side)
    same = (theirs.argmax(1) == ours.argmax(1)).sum()
    print(f"{model}: {same} of {len(files)} the same, scores differ by {np.abs(theirs - ours).max():.6f}")
    return theirs


FLOAT = (0.0, 255.0)
model, folder, *other = map(Path, sys.argv[1:])
files = sorted(path for path in folder.rglob("*") if path.is_file())
scores = compare(model, files)
for second in other:
    differing = (compare(second, files).argmax(1) != scores.argmax(1)).sum()
    print(f"{differing} of {len(files)} best classes differ")
