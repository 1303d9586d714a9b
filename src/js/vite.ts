// `achado/vite`: what Vite 5 to 7 need to be told.

/** A plugin of Vite, without a dependency on it. */
export interface VitePlugin {
  readonly name: string;
  config(): { optimizeDeps: { exclude: string[] } };
}

/**
 * Serves the package from where it is installed: Vite's development server before version 8 bundles
 * packages without the files that they name.
 */
export default function achado(): VitePlugin {
  return { name: "achado", config: () => ({ optimizeDeps: { exclude: ["achado"] } }) };
}
