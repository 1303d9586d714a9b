// Starting workers in a browser, also where the script is on another origin or policies are strict.
import type { Files } from "./assets.js";
import { isPlace, messageOf } from "./kind.js";
import type { Asset, AssetName } from "./types.js";

/** The part of Trusted Types that is used here. */
interface ScriptUrls {
  createScriptURL(url: string): string;
}

let policy: ScriptUrls | undefined;

/** For pages that require Trusted Types; they allow the policy's name, `achado`. */
function trusted(url: string): string {
  type Factory = { createPolicy(name: string, rules: ScriptUrls): ScriptUrls };
  const { trustedTypes } = globalThis as { trustedTypes?: Factory };
  try {
    policy ??= trustedTypes?.createPolicy("achado", { createScriptURL: (trusted) => trusted });
  } catch {
    // Where the name is not allowed, the page may have a default policy.
  }
  return policy ? policy.createScriptURL(url) : url;
}

/** Addresses of scripts of one line, which are never given back: there are two at most. */
const bootstraps = new Map<string, string>();

/**
 * Browsers start workers from scripts of the page's own origin only; a module of it may import
 * others.
 */
function sameOrigin(url: URL): string {
  const { protocol, origin } = url;
  if (protocol === "blob:" || protocol === "data:" || origin === globalThis.origin) return url.href;
  let bootstrap = bootstraps.get(url.href);
  if (!bootstrap) {
    const script = `import ${JSON.stringify(url.href)};`;
    const type = "text/javascript";
    // A sandboxed frame's Blobs have no origin that a worker of it could read them from.
    const isOpaque = globalThis.origin === "null";
    bootstrap = isOpaque
      ? `data:${type},${encodeURIComponent(script)}`
      : URL.createObjectURL(new Blob([script], { type }));
    bootstraps.set(url.href, bootstrap);
  }
  return bootstrap;
}

function addressOf(script: Asset): URL {
  // As the page's own scripts are: relative to it.
  if (isPlace(script)) return new URL(script, globalThis.document?.baseURI ?? location.href);
  const blob = new Blob([script as BlobPart], { type: "text/javascript" });
  return new URL(URL.createObjectURL(blob));
}

function start(script: Asset): Worker {
  const url = trusted(sameOrigin(addressOf(script)));
  try {
    return new Worker(url, { type: "module" });
  } catch (cause) {
    const reason = messageOf(cause);
    if (!reason.includes("TrustedScriptURL")) throw cause;
    throw new Error(`${reason} allow the policy "achado" by trusted-types`, { cause });
  }
}

/**
 * Starts one of the package's workers.
 *
 * @param bundled Does it in the form that bundlers recognise.
 * @throws {Error} why there is none
 */
export function startWorker(name: AssetName, files: Files, bundled: () => Worker): Worker {
  const given = files.given(name) ?? (files.isMoved ? files.besideCore(name) : undefined);
  if (given !== undefined) return start(given);
  try {
    return bundled();
  } catch (refusal) {
    // Another origin, a sandboxed frame, Trusted Types.
    const beside = typeof Worker === "function" ? files.besideCore(name) : undefined;
    if (!beside) throw refusal;
    return start(beside);
  }
}
