// The runtimes: what each reads, and how it is run. adapters/<name>.mjs is how it is called.
//
// accepts   [format, dtype, variant?] of artifacts, see models.mjs; any variant if none is named
// takes     image, or tensor: what is made ready before any clock starts
// threads   numbers of threads that can be asked for
// starts    whether the adapter can show the way from nothing to the first label
// runs      whether it can do anything else, as all can where nothing is said
// chromium  flags that it needs

export const RUNTIMES = [
  {
    name: "achado",
    takes: "image",
    accepts: [
      ["tflite", "f32"],
      ["tflite", "int8"],
    ],
    threads: [1, 2],
    starts: true,
  },
  {
    name: "nothing",
    takes: "image",
    accepts: [
      ["tflite", "f32"],
      ["tflite", "int8"],
    ],
    threads: [1],
    starts: true,
    runs: false,
  },
  {
    name: "litert",
    package: "@litertjs/core",
    takes: "tensor",
    // It has no int8 tensors.
    accepts: [
      ["tflite", "f32"],
      ["tflite", "int8", "fio"],
      ["tflite", "int8", "u8io"],
    ],
    threads: [1, 2],
    starts: true,
  },
  {
    name: "ort-web",
    package: "onnxruntime-web",
    takes: "tensor",
    accepts: [
      ["onnx", "f32"],
      ["onnx", "int8", "qdq"],
    ],
    threads: [1, 2],
  },
  {
    name: "tfjs-wasm",
    package: "@tensorflow/tfjs-backend-wasm",
    takes: "tensor",
    accepts: [["tfjs", "f32"]],
    // It takes half of the cores at most.
    threads: [1],
  },
  {
    name: "mediapipe",
    package: "@mediapipe/tasks-vision",
    takes: "image",
    accepts: [
      ["tflite-mp", "f32"],
      ["tflite-mp", "int8"],
      ["tflite", "int8", "u8io"],
    ],
    threads: [1],
    chromium: ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
  },
];
