"""Small ONNX files of torchvision's architectures, as PyTorch's exporter writes them.

    python3 architectures.py    writes tests/fixtures/onnx/<name>.onnx, <name>.npy and input.npy

Needs torch, torchvision, onnx, onnxruntime and numpy. Weights are random, channels few, pictures of 64
pixels; statistics of the batch normalisations are random, too, so that folding them is seen. `<name>.npy` is ONNX
Runtime's answer to `input.npy`, which is float16 to be small.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from torchvision.models import (
    convnext,
    efficientnet,
    mobilenetv2,
    mobilenetv3,
    regnet,
    resnet,
    shufflenetv2,
    vision_transformer,
)

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx"
CLASSES, SIZE = 10, 64


def mobilenet_v2():
    settings = [[1, 8, 1, 1], [6, 8, 2, 2], [6, 16, 2, 2], [6, 16, 2, 1]]
    return mobilenetv2.MobileNetV2(CLASSES, 0.5, settings)


def mobilenet_v3():
    def block(*arguments):
        return mobilenetv3.InvertedResidualConfig(*arguments, 1, 0.5)

    settings = [
        block(16, 3, 16, 16, True, "RE", 2),
        block(16, 3, 32, 24, False, "RE", 2),
        block(24, 5, 48, 24, True, "HS", 1),
        block(24, 5, 64, 32, True, "HS", 2),
    ]
    return mobilenetv3.MobileNetV3(settings, 64, num_classes=CLASSES)


def efficientnet_b0():
    def block(*arguments):
        return efficientnet.MBConvConfig(*arguments, 0.25, 1.0)

    settings = [block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 1), block(6, 5, 2, 24, 32, 2)]
    return efficientnet.EfficientNet(settings, 0.2, num_classes=CLASSES, last_channel=64)


def resnet18():
    class Narrow(resnet.ResNet):
        def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
            if self.inplanes == 64 and planes == 64:
                self.inplanes = 4
                self.conv1 = torch.nn.Conv2d(3, 4, 7, 2, 3, bias=False)
                self.bn1 = torch.nn.BatchNorm2d(4)
            return super()._make_layer(block, planes // 16, blocks, stride, dilate)

    model = Narrow(resnet.BasicBlock, [2, 2, 2, 2], CLASSES)
    model.fc = torch.nn.Linear(32, CLASSES)
    return model


def shufflenet_v2():
    return shufflenetv2.ShuffleNetV2([2, 3, 2], [8, 16, 32, 48, 64], CLASSES)


def regnet_y():
    widths = dict(depth=6, w_0=16, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25)
    return regnet.RegNet(regnet.BlockParams.from_init_params(**widths), CLASSES, stem_width=16)


def convnext_tiny():
    block = convnext.CNBlockConfig
    settings = [block(8, 16, 1), block(16, 24, 1), block(24, 32, 2), block(32, None, 1)]
    return convnext.ConvNeXt(settings, layer_scale=0.5, num_classes=CLASSES)


def vit():
    return vision_transformer.VisionTransformer(SIZE, 16, 2, 4, 32, 64, num_classes=CLASSES)


# The opset of each, and whether the exporter is the one that torch.export feeds, or the one that traces.
MODELS = [
    (mobilenet_v2, 9, False),
    (mobilenet_v3, 18, True),
    (efficientnet_b0, 13, False),
    (resnet18, 20, True),
    (shufflenet_v2, 11, False),
    (regnet_y, 21, True),
    (convnext_tiny, 17, False),
    (vit, 21, True),
]


def randomise(model):
    """Weights that keep activations near 1, and statistics and biases that are not the identity."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.uniform_(module.weight, 0.7, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.3)
            torch.nn.init.normal_(module.running_mean, 0, 0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, 0, 0.1)


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(100)
    x = torch.randn(1, 3, SIZE, SIZE).half().float()
    np.save(FIXTURES / "input.npy", x.numpy().astype(np.float16))
    names = dict(input_names=["input"], output_names=["output"])
    for at, (make, opset, dynamo) in enumerate(MODELS):
        name = make.__name__
        torch.manual_seed(at)
        model = make().eval()
        randomise(model)
        file = FIXTURES / f"{name}.onnx"
        if dynamo:
            program = torch.onnx.export(model, (x,), dynamo=True, verbose=False, opset_version=opset, **names)
            program.save(file, external_data=False)
        else:
            # Some with BatchNormalization as a node of its own: the exporter folds it otherwise.
            keep = torch.onnx.TrainingMode.PRESERVE if opset in (11, 13) else torch.onnx.TrainingMode.EVAL
            torch.onnx.export(model, (x,), file, dynamo=False, opset_version=opset, training=keep, **names)
        proto = onnx.load(file)
        # Where in PyTorch's sources a node comes from: much text, and paths of this machine.
        for node in proto.graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in list(proto.graph.value_info) + list(proto.graph.input) + list(proto.graph.output):
            del value.metadata_props[:]
        del proto.graph.metadata_props[:]
        del proto.metadata_props[:]
        onnx.save(proto, file)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"input": x.numpy()})
        with torch.no_grad():
            torch_difference = np.abs(y - model(x).numpy()).max()
        np.save(FIXTURES / f"{name}.npy", y)
        kinds = sorted({node.op_type for node in proto.graph.node})
        print(f"{name}: opset {proto.opset_import[0].version}, {file.stat().st_size} bytes,"
              f" |y| up to {np.abs(y).max():.2f}, {torch_difference:.1e} from PyTorch; {' '.join(kinds)}")


if __name__ == "__main__":
    main()
