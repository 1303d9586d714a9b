"""Writes the networks of the zoo. Run by make.py inside the virtual environment.

Each is written as float32 and as int8 .tflite (float input and output), with the outputs that
TensorFlow Lite gives for the folder's inputs, and listed in `manifest.json` (tests/peers/models.mjs).
Batch normalisations have the statistics of a batch, so that activations are of the size that trained
networks have.
"""

import argparse
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIZE = 224
INPUTS = 4
CLASSES = 1000


def pictures(count, seed):
    """Smooth random pictures, [count, SIZE, SIZE, 3], -1 to 1."""
    coarse = np.random.default_rng(seed).uniform(-1, 1, (count, 9, 9, 3)).astype(np.float32)
    return np.clip(tf.image.resize(coarse, (SIZE, SIZE), "bicubic").numpy(), -1, 1)


def application(name, **options):
    """One of keras.applications, which takes pictures of -1 to 1."""

    def build():
        return getattr(keras.applications, name)(
            weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3), **options
        )

    return build


def vit_tiny():
    """ViT-Tiny/16: twelve blocks of width 192 with three heads."""
    width, heads = 192, 3
    x = image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(width, 16, strides=16)(x)
    x = layers.Reshape((-1, width))(x)
    positions = layers.Embedding(x.shape[1], width)
    x = x + positions(keras.ops.arange(x.shape[1]))
    for _ in range(12):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y)
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        x = x + layers.Dense(width)(y)
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))


def resnext50():
    """ResNeXt-50, 32x4d."""

    def convolution(x, filters, size=1, stride=1, groups=1, is_last=False):
        x = layers.Conv2D(filters, size, stride, "same", groups=groups, use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return x if is_last else layers.ReLU()(x)

    image = keras.Input((SIZE, SIZE, 3))
    x = convolution(image, 64, 7, 2)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 128 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            y = convolution(x, width)
            y = convolution(y, width, 3, stride, groups=32)
            y = convolution(y, 2 * width, is_last=True)
            if block == 0:
                x = convolution(x, 2 * width, 1, stride, is_last=True)
            x = layers.ReLU()(x + y)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))


NETWORKS = {
    "convnext_tiny": application("ConvNeXtTiny", include_preprocessing=False),
    "efficientnet_b0": application("EfficientNetB0"),
    "efficientnetv2_b0": application("EfficientNetV2B0", include_preprocessing=False),
    "inception_v3": application("InceptionV3"),
    "mobilenet_v2_1.4": application("MobileNetV2", alpha=1.4),
    "mobilenet_v3_large": application("MobileNetV3Large", include_preprocessing=False),
    "nasnet_mobile": application("NASNetMobile"),
    "resnet50_v2": application("ResNet50V2"),
    "resnext50": resnext50,
    "vit_tiny": vit_tiny,
    "xception": application("Xception"),
}


def calibrate(model, batch):
    """Gives batch normalisations the statistics of a batch, and layer scales a size that counts."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
        if type(layer).__name__ == "LayerScale":
            layer.gamma.assign(tf.fill(layer.gamma.shape, 0.2))
    model(batch, training=True)


def convert(model, batch, is_quantized):
    """The model as a .tflite file."""
    shape = [1, SIZE, SIZE, 3]
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    if is_quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([x[None]] for x in batch[:4])
    return converter.convert()


def run(content, inputs):
    """What TensorFlow Lite makes of the inputs."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    [given], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for x in inputs:
        interpreter.set_tensor(given["index"], x[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0])
    return np.stack(outputs).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NETWORKS))
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NETWORKS)
    if unknown:
        parser.error(f"there is no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    inputs, batch = pictures(INPUTS, 1), pictures(16, 2)
    inputs.tofile(folder / "inputs.bin")
    manifest_file = folder / "manifest.json"
    manifest = {
        "inputs": INPUTS,
        "inputFile": "inputs.bin",
        "shape": [1, SIZE, SIZE, 3],
        "models": {},
        "artifacts": [],
    }
    if manifest_file.exists():
        manifest = json.loads(manifest_file.read_text())
    for name in arguments.names or NETWORKS:
        if name in manifest["models"]:
            continue
        print(name, flush=True)
        keras.utils.set_random_seed(0)
        model = NETWORKS[name]()
        calibrate(model, batch)
        artifacts = []
        for dtype, variant in (("f32", ""), ("int8", "fio")):
            content = convert(model, batch, dtype == "int8")
            file = f"{name}.{dtype}.tflite"
            (folder / file).write_bytes(content)
            run(content, inputs).tofile(folder / f"{file}.expected.bin")
            artifact = {
                "model": name,
                "file": file,
                "format": "tflite",
                "dtype": dtype,
                "variant": variant,
                "layout": "nhwc",
                "inDtype": "float32",
                "expected": f"{file}.expected.bin",
            }
            artifacts.append(artifact)
        manifest["models"][name] = {"macs": 0, "classes": CLASSES}
        manifest["artifacts"] += artifacts
        manifest_file.write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
