// webpack without its command line, which would be one more package to install.
import { copyFile } from "node:fs/promises";
import webpack from "webpack";

webpack(
  {
    mode: "production",
    context: import.meta.dirname,
    entry: "./main.js",
    output: { path: `${import.meta.dirname}/dist`, filename: "main.js" },
    // Models and wasm are as large as they are.
    performance: { hints: false },
  },
  async (error, stats) => {
    if (error || stats.hasErrors() || stats.hasWarnings()) {
      console.error(error ?? stats.toString({ all: false, errors: true, warnings: true }));
      process.exit(1);
    }
    await copyFile("index.html", "dist/index.html");
  },
);
