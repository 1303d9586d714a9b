"""TFLite Model Metadata of an image classifier, as TFLite's own `ImageClassifierWriter` writes it."""

import io
import zipfile

import flatbuffers

IDENTIFIER = b"M001"
ENTRY = b"TFLITE_METADATA"
# The lowest metadata version whose readers know every field used here.
MIN_PARSER_VERSION = "1.0.0"
LABELS = "labels.txt"


def build(schema, name, description, version, author, licence, mean, std):
    """The metadata flatbuffer for one RGB uint8 input `image` and one uint8 output `probability`.

    `schema`: the module generated from metadata_schema.fbs. `mean`, `std`: (pixel - mean) / std is the real value
    that the input's scale and zero point quantise.
    """
    image = schema.TensorMetadataT()
    image.name, image.description = "image", "Input image to be classified."
    image.content = schema.ContentT()
    image.content.contentPropertiesType = schema.ContentProperties.ImageProperties
    image.content.contentProperties = schema.ImagePropertiesT()
    image.content.contentProperties.colorSpace = schema.ColorSpaceType.RGB
    unit = schema.ProcessUnitT()
    unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
    unit.options = schema.NormalizationOptionsT()
    unit.options.mean, unit.options.std = [mean], [std]
    image.processUnits = [unit]
    image.stats = _stats(schema)

    labels = schema.AssociatedFileT()
    labels.name, labels.type = LABELS, schema.AssociatedFileType.TENSOR_AXIS_LABELS
    labels.description = "Labels for categories that the model can recognize."
    probability = schema.TensorMetadataT()
    probability.name, probability.description = "probability", "Probabilities of the 1000 labels respectively."
    probability.content = schema.ContentT()
    probability.content.contentPropertiesType = schema.ContentProperties.FeatureProperties
    probability.content.contentProperties = schema.FeaturePropertiesT()
    probability.stats = _stats(schema)
    probability.associatedFiles = [labels]

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata, graph.outputTensorMetadata = [image], [probability]
    model = schema.ModelMetadataT()
    model.name, model.description, model.version = name, description, version
    model.author, model.license = author, licence
    model.subgraphMetadata = [graph]
    model.minParserVersion = MIN_PARSER_VERSION
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _stats(schema):
    """The range of a uint8 tensor's elements."""
    stats = schema.StatsT()
    stats.min, stats.max = [0.0], [255.0]
    return stats


def append_files(model, files):
    """`model` followed by a zip of `files` ({name: bytes}): stored, with a fixed time, so the bytes repeat."""
    output = io.BytesIO(model)
    with zipfile.ZipFile(output, "a") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return output.getvalue()
