// A model's file as a module of JavaScript, for bundlers.

/** What the module needs to know. */
export interface ModuleOptions {
  /** The expression of the model's address, and imports that it needs. */
  readonly address: string;
  readonly imports?: string;
  /** Whether to write declarations beside the model. */
  readonly types: boolean;
}

/** The source of the module. */
export async function moduleOf(file: string, { types, ...place }: ModuleOptions): Promise<string> {
  // Opening models takes the rest of the package: only where there is one to open.
  const { declarationsOf, describeFile, javascriptOf, writeChanged } =
    await import("./bind-node.js");
  const description = await describeFile(file);
  if (types) await writeChanged(`${file}.d.ts`, declarationsOf(description));
  return javascriptOf(description, place);
}
