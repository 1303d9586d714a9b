// The model of the package.

/** The model that comes with the package: EfficientNet-Lite0, int8, 1000 classes of ImageNet. */
export const defaultModel: URL = new URL(
  "../models/efficientnet-lite0-int8.tflite",
  import.meta.url,
);
