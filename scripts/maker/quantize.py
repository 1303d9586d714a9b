"""What TensorFlow Lite's converter and Google's quantizer make of a small network:
crates/maker/tests/quantize.tflite, the network in float, and quantize.json.

Run from the repository's root, with the packages of requirements.txt, tensorflow-cpu==2.21.0 and
ai-edge-quantizer==0.10.0:
    python scripts/maker/quantize.py
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

OUT = Path("crates/maker/tests")
SIZE = 24
SAMPLES = 8


def sample(seed):
    """The same numbers as tests/quantize.rs: bytes of a hash, from -1 to 1."""
    at = np.arange(SIZE * SIZE * 3, dtype=np.uint64)
    bytes_ = (at * np.uint64(seed + 7) * np.uint64(2_654_435_761) >> np.uint64(13)) & np.uint64(255)
    pixels = bytes_.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return pixels.reshape(1, SIZE, SIZE, 3)


def network():
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    given = tf.keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(8, 3, 2, "same", name="stem")(given)
    x = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, 1, "same", name="depthwise")(x)
    x = layers.ReLU(6.0)(x)
    y = x = layers.Conv2D(12, 1, name="project")(x)
    x = layers.Conv2D(12, 1, activation="relu", name="expand")(x)
    x = layers.Conv2D(12, 3, 1, "same", name="back")(x)
    x = layers.Add(name="sum")([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(5, name="classes")(x)
    model = tf.keras.Model(given, layers.Softmax(name="scores")(x))
    random = np.random.default_rng(5)
    weights = [random.normal(0, 0.4, w.shape).astype(np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    return model


def tensors(file):
    interpreter = Interpreter(model_content=file)
    interpreter.allocate_tensors()
    return interpreter, interpreter.get_tensor_details()


def main():
    model = network()
    float_file = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (OUT / "quantize.tflite").write_bytes(float_file)

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample(seed)] for seed in range(SAMPLES))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    _, details = tensors(converter.convert())
    activations = {}
    for tensor in details:
        scale, zero_point = tensor["quantization"]
        if tensor["dtype"] == np.int8 and scale and len(tensor["shape"]) and tensor["shape"][0] == 1:
            activations[tensor["name"]] = [float(np.float32(scale)), int(zero_point)]

    google = quantizer.Quantizer(bytearray(float_file))
    google.load_quantization_recipe(recipe.static_wi8_ai8())
    name = next(iter(Interpreter(model_content=float_file).get_signature_list()))
    key = Interpreter(model_content=float_file).get_signature_list()[name]["inputs"][0]
    calibration = google.calibrate({name: [{key: sample(seed)} for seed in range(SAMPLES)]})
    interpreter, details = tensors(bytes(google.quantize(calibration).quantized_model))
    weights = {}
    for tensor in details:
        scales = tensor["quantization_parameters"]["scales"]
        if tensor["dtype"] == np.int8 and len(scales) > 1:
            values = interpreter.get_tensor(tensor["index"])
            weights[tensor["name"]] = {
                "scales": [float(scale) for scale in scales],
                "values": values.ravel().tolist(),
            }
    (OUT / "quantize.json").write_text(json.dumps({"activations": activations, "weights": weights}))
    print(activations, {name: len(w["values"]) for name, w in weights.items()})


main()
