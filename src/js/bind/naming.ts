// Names of bindings, by the rules of TensorFlow Lite's code generator (`ConvertToValidName`,
// `NameInputsAndOutputs`, `SnakeCaseToCamelCase`) and, for classes, of Android Studio's model binding
// (`MlNames`).

/** Lower case, digits and underscores, with a letter first; empty where nothing is left. */
export function validName(name: string): string {
  const result = asciiLower(name)
    .replaceAll(/[^a-z0-9_]/g, "_")
    .replace(/^_+/, "");
  return result === "" || /^[a-z]/.test(result) ? result : `tensor_${result}`;
}

function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** What of a tensor decides how it is called. */
export interface NamedTensor {
  readonly name: string;
  /** Whether it takes a picture. */
  readonly picture?: boolean;
}

/**
 * Names of inputs and outputs, unique among both: `image`, `output_image`, `feature1`, `feature2`.
 *
 * @returns In snake case.
 */
export function nameTensors(
  inputs: readonly NamedTensor[],
  outputs: readonly NamedTensor[],
): { inputs: string[]; outputs: string[] } {
  const nameOf = ({ name, picture }: NamedTensor, otherwise: string) =>
    validName(name) || (picture ? "image" : otherwise);
  const ins = inputs.map((tensor) => nameOf(tensor, "input"));
  const outs = outputs.map((tensor) => nameOf(tensor, "output"));
  const both = new Set(ins.filter((name) => outs.includes(name)));
  const apart = (names: string[], prefix: string) =>
    numbered(names.map((name) => (both.has(name) ? `${prefix}_${name}` : name)));
  return { inputs: apart(ins, "input"), outputs: apart(outs, "output") };
}

/** `image` twice becomes `image1` and `image2`. */
function numbered(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    if (names.indexOf(name) === names.lastIndexOf(name)) return name;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return `${name}${count}`;
  });
}

/** `output_image1` becomes `outputImage1`. */
export function camelCase(name: string): string {
  return name.replaceAll(/_+([^_]?)/g, (_, letter: string) => letter.toUpperCase());
}

/** Names as keys of objects: in camel case, unique even where that makes two alike. */
export function keysOf(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const plain = camelCase(name);
    let key = plain;
    for (let count = 2; taken.has(key); count++) key = `${plain}${count}`;
    taken.add(key);
    return key;
  });
}

/** What TypeScript and JavaScript have taken, of names that a file's name can give. */
const RESERVED = new Set(["Array", "Error", "Float32Array", "Object", "Promise", "String", "URL"]);

/** The class of a model's file: `mobilenet-v1.tflite` is `MobilenetV1`, `012.onnx` `AutoModel012`. */
export function classNameOf(fileName: string): string {
  const stem = fileName.replace(/\.[^.]*$/, "").trim();
  const words = stem.replaceAll(/[- ]+/g, "_");
  const joined = words.includes("_")
    ? words.split("_").map(capitalized).join("")
    : words.slice(0, 1).toUpperCase() + words.slice(1);
  const name = joined.replaceAll(/[^0-9A-Za-z]/g, "");
  return /^[A-Za-z]/.test(name) && !RESERVED.has(name) ? name : `AutoModel${name}`;
}

/** Guava's way: the rest of the word is in lower case. */
function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase();
}
