// The source text of bindings.
import type { DescribedTensor, Description } from "./describe.js";

/** Where what a binding needs comes from. */
export interface Place {
  /** The expression of the model's address: `new URL("./m.tflite", import.meta.url)`, or a text. */
  readonly address: string;
  /** Imports that the expression needs. */
  readonly imports?: string;
  /** The entry that opens models: `achado` or `achado/lite`. */
  readonly entry?: string;
}

/** How elements of a type are given and come. */
const ARRAYS: Readonly<Record<string, string>> = {
  float32: "Float32Array",
  int8: "Int8Array",
  uint8: "Uint8Array",
  int16: "Int16Array",
  uint16: "Uint16Array",
  int32: "Int32Array",
  int64: "BigInt64Array",
  bool: "Uint8Array",
};

const arrayOf = ({ info }: DescribedTensor) => ARRAYS[info.dtype] ?? "TensorData";

const quoted = (text: string) => JSON.stringify(text);

const property = (key: string) => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key));

/** A text that cannot end a comment. */
const inComment = (text: string) => text.replaceAll("*/", "*\u200b/").replaceAll(/\s+/g, " ");

const upperFirst = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);

const header = ({ fileName }: Description) =>
  `// Written by \`achado bind\` from ${inComment(fileName)}; changes are lost when it is run again.\n`;

const shapeOf = ({ info }: DescribedTensor) => `${info.dtype} [${info.shapeSignature.join(", ")}]`;

/** The type of a head's labels. */
const labelType = ({ className }: Description, { key }: DescribedTensor) =>
  `${className}${upperFirst(key)}Label`;

/** The names of all classes that have one; empty where none has. */
const named = ({ labels = [] }: DescribedTensor) => [...new Set(labels)].filter(Boolean);

function typeOfOutput(description: Description, output: DescribedTensor): string {
  if (!output.labels) return `TypedTensor<${arrayOf(output)}>`;
  return named(output).length > 0
    ? `LabeledCategory<${labelType(description, output)}>[]`
    : "Category[]";
}

/** The declarations of types. */
function types(description: Description): string {
  const { className, inputs, outputs } = description;
  const unions = outputs.filter((output) => named(output).length > 0);
  const union = (output: DescribedTensor) => {
    const names = named(output);
    const hasGaps = output.labels?.includes("");
    const members = [...names, ...(hasGaps ? [""] : [])].map((name) => `  | ${quoted(name)}`);
    return `/** What \`${output.key}\` tells apart. */\nexport type ${labelType(description, output)} =\n${members.join("\n")};\n`;
  };
  const fields = (tensors: readonly DescribedTensor[], type: (one: DescribedTensor) => string) =>
    tensors
      .map(
        (one) =>
          `  /** ${inComment(one.name)}: ${shapeOf(one)}. */\n  ${property(one.key)}: ${type(one)};\n`,
      )
      .join("");
  return `${unions.map(union).join("\n")}
/** What ${className} takes. */
export interface ${className}Inputs {
${fields(inputs, (input) => (input.picture ? "ImageInput" : arrayOf(input)))}}

/** What ${className} gives. */
export interface ${className}Outputs {
${fields(outputs, (output) => typeOfOutput(description, output))}}
`;
}

/** The types that are imported, of `achado` and of `achado/bindings`. */
function importedTypes(description: Description): { achado: string[]; bindings: string[] } {
  const text = types(description);
  const used = (names: string[]) => names.filter((name) => new RegExp(`\\b${name}\\b`).test(text));
  return {
    achado: used(["Category", "ImageInput", "TensorData"]),
    bindings: used(["LabeledCategory", "TypedTensor"]),
  };
}

function documentation({ className, title, fileName, inputs, outputs }: Description): string {
  const given = inputs.map(({ key }) => key).join(", ");
  const taken = outputs.map(({ key }) => key).join(", ");
  return `/**
 * ${inComment(title || fileName)}.
 *
 * \`\`\`ts
 * const model = await ${className}.newInstance();
 * const { ${taken} } = await model.process({ ${given} });
 * await model.close();
 * \`\`\`
 */
`;
}

/** The binding, as an object. */
function binding(
  { className, integrity, task, inputs, outputs, options }: Description,
  address: string,
) {
  const list = (tensors: readonly DescribedTensor[]) =>
    tensors
      .map(({ key, name, picture }) => JSON.stringify({ key, name, ...(picture && { picture }) }))
      .join(", ");
  return `{
  name: ${quoted(className)},
  model: ${address},
  integrity: ${quoted(integrity)},
  task: ${quoted(task)},
  inputs: [${list(inputs)}],
  outputs: [${list(outputs)}],
  options: ${JSON.stringify(options)},
}`;
}

/** The labels of all heads by name of the output, as the class has them. */
function labels({ outputs }: Description): string {
  const heads = outputs.filter((output) => named(output).length > 0);
  return `{
${heads.map(({ key, labels }) => `    ${property(key)}: ${JSON.stringify(labels)},\n`).join("")}  }`;
}

/** A module of TypeScript. */
export function typescriptOf(description: Description, place: Place): string {
  const { className } = description;
  const entry = place.entry ?? "achado";
  const imported = importedTypes(description);
  const list = (names: string[]) => names.map((name) => `, type ${name}`).join("");
  return `${header(description)}${place.imports ?? ""}import { createClassifier, createModel${list(imported.achado)} } from ${quoted(entry)};
import { boundTo${list(imported.bindings)} } from "achado/bindings";

${types(description)}
const binding = boundTo<${className}Inputs, ${className}Outputs>(
  { createClassifier, createModel },
  ${binding(description, place.address).replaceAll("\n", "\n  ")},
);

${documentation(description)}export class ${className} extends binding {
  /** Names of the classes, by index. */
  static readonly labels = ${labels(description)} as const;
}
`;
}

/** The same as JavaScript, for bundlers. */
export function javascriptOf(description: Description, place: Place): string {
  const { className } = description;
  return `${header(description)}${place.imports ?? ""}import { createClassifier, createModel } from ${quoted(place.entry ?? "achado")};
import { boundTo } from "achado/bindings";

export class ${className} extends boundTo(
  { createClassifier, createModel },
  ${binding(description, place.address).replaceAll("\n", "\n  ")},
) {
  static labels = ${labels(description)};
}
export default ${className};
`;
}

/** Declarations for `import { Name } from "./file.tflite?model"`. */
export function declarationsOf(description: Description): string {
  const { className, fileName, outputs } = description;
  const imported = importedTypes(description);
  const heads = outputs.filter((output) => named(output).length > 0);
  const fields = heads.map(
    ({ key, labels }) => `      readonly ${property(key)}: readonly ${JSON.stringify(labels)};\n`,
  );
  const importOf = (names: string[], from: string) =>
    names.length > 0 ? `  import type { ${names.join(", ")} } from "${from}";\n` : "";
  const body = types(description)
    .trimEnd()
    .replaceAll(/^(?=.)/gm, "  ");
  return `${header(description)}declare module "*/${fileName}?model" {
${importOf(imported.achado, "achado")}${importOf(["BoundClass", ...imported.bindings], "achado/bindings")}
${body}

  const binding: BoundClass<${className}Inputs, ${className}Outputs>;
${documentation(description)
  .trimEnd()
  .replaceAll(/^(?=.)/gm, "  ")}
  export class ${className} extends binding {
    /** Names of the classes, by index. */
    static readonly labels: {
${fields.join("")}    };
  }
  export default ${className};
}
`;
}
