"""EfficientNet-Lite0 as a Keras model, batch norm folded into the convolutions.

Architecture: the `efficientnet-lite0` of TensorFlow's TPU repository (MBConv blocks without squeeze-and-excite,
ReLU6, stem and head not scaled). The weights were trained there, so every convolution pads like TensorFlow's SAME.
"""

import numpy as np

SIZE = 224
CLASSES = 1000
MEAN, STD = 127.0, 128.0
EPSILON = 1e-3
# kernel, stride, expansion, output channels, repeats
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


def fold(state, conv, norm):
    """Kernel (OIHW) and bias of convolution `conv` with batch norm `norm` folded in, in float64.

    y = gamma * (conv(x) - mean) / sqrt(var + eps) + beta
    """
    gamma, beta, mean, var = (
        state[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(var + EPSILON)
    return state[f"{conv}.weight"].astype(np.float64) * factor[:, None, None, None], beta - mean * factor


def build(state, padding="same"):
    """Returns the Keras model: float32 [1, 224, 224, 3], (x - 127) / 128 -> float32 [1, 1000], softmax.

    `state`: the checkpoint's arrays; every one must be used, or this is not the network that was trained.
    `padding`: "same" is TensorFlow's (as trained); "symmetric" is PyTorch's (k // 2 on every side), kept to
    measure that it is the wrong one.
    """
    import keras
    from keras import layers

    used = set()
    x = inputs = keras.Input((SIZE, SIZE, 3), batch_size=1, name="image")
    weights = {}

    def convolution(x, conv, norm, size, stride, relu, name):
        kernel, bias = fold(state, conv, norm)
        used.add(f"{conv}.weight")
        used.update(f"{norm}.{p}" for p in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
        outputs, per_group, *window = kernel.shape
        if window != [size, size]:
            raise ValueError(f"{conv}: kernel is {window}, not {size} x {size}")
        depthwise = per_group == 1
        pad = padding
        if padding == "symmetric":
            pad = "valid"
            if size > 1:
                x = layers.ZeroPadding2D(size // 2)(x)
        if depthwise:
            x = layers.DepthwiseConv2D(size, stride, pad, name=name)(x)
            weights[name] = [kernel.transpose(2, 3, 0, 1), bias]
        else:
            x = layers.Conv2D(outputs, size, stride, pad, name=name)(x)
            weights[name] = [kernel.transpose(2, 3, 1, 0), bias]
        return layers.ReLU(6.0, name=f"{name}_relu6")(x) if relu else x

    x = convolution(x, "_conv_stem", "_bn0", 3, 2, True, "stem")
    index = 0
    for size, stride, expansion, outputs, repeats in STAGES:
        for repeat in range(repeats):
            block, name, skip = f"_blocks.{index}.", f"block{index}", x
            if expansion != 1:
                x = convolution(x, block + "_expand_conv", block + "_bn0", 1, 1, True, name + "_expand")
            step = stride if repeat == 0 else 1
            x = convolution(x, block + "_depthwise_conv", block + "_bn1", size, step, True, name + "_depthwise")
            x = convolution(x, block + "_project_conv", block + "_bn2", 1, 1, False, name + "_project")
            if step == 1 and skip.shape[-1] == outputs:
                x = layers.Add(name=name + "_add")([x, skip])
            index += 1
    x = convolution(x, "_conv_head", "_bn1", 1, 1, True, "head")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(CLASSES, activation="softmax", name="probability")(x)
    weights["probability"] = [state["_fc.weight"].T, state["_fc.bias"]]
    used.update(["_fc.weight", "_fc.bias"])
    if used != set(state):
        raise ValueError(f"arrays left over: {sorted(set(state) - used)}")
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    for name, arrays in weights.items():
        model.get_layer(name).set_weights([np.asarray(a, np.float32) for a in arrays])
    return model
