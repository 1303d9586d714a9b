// A Chromium that nobody watches: where DevTools or a driver of its protocol is connected, the browser
// keeps a copy of all that a page loads and makes text of it, 40 ms of the page's time for 14 MB.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { chromiumPath, FLAGS } from "./support.mjs";

/** How long a page may take, in ms. */
const PATIENCE = 60_000;

/** What pages tell: an answer for the server's `overrides`, and the next story. */
export function listener() {
  let heard = () => {};
  return {
    async answer(request, response) {
      const story = await text(request);
      response.end();
      heard(JSON.parse(story));
    },
    next: () => new Promise((resolve) => (heard = resolve)),
  };
}

/**
 * Shows `url` in a fresh Chromium until the page has told its story. `after` is called with the
 * browser's process while it still runs, and what it gives is part of the story.
 */
export async function alone(url, stories, args = [], after = () => ({})) {
  const folder = await mkdtemp(path.join(os.tmpdir(), "achado-alone-"));
  const flags = [...FLAGS, ...args, "--headless", `--user-data-dir=${folder}`, url];
  const story = stories.next();
  // A group of its own: it has children, which end with it.
  const browser = spawn(chromiumPath(), flags, { stdio: "ignore", detached: true });
  const ended = once(browser, "exit");
  const failed = new AbortController();
  try {
    const found = await Promise.race([
      story,
      ended.then(() => ({ error: "Chromium ended before the page had told anything" })),
      setTimeout(PATIENCE, { error: "the page has told nothing" }, { signal: failed.signal }),
    ]);
    if (found.error) throw new Error(found.error);
    return { ...found, ...(await after(browser.pid)) };
  } finally {
    failed.abort();
    try {
      process.kill(-browser.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}
