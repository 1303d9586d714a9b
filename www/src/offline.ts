// Keeping the page for times without a network, and taking a newer build when one is there.
import { element } from "./dom.js";
import { setText } from "./text.js";

const state = element("offline");
const update = element<HTMLButtonElement>("update");

/**
 * Registers the service worker and gives it what this page has used so far, the core and the model
 * among it. Called when the page has nothing else to do.
 *
 * @param further Files that have not been asked for and will be.
 * @param what A word for what is kept then
 */
export async function keepForOffline(further: string[] = [], what = "page"): Promise<void> {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  try {
    const registration = await navigator.serviceWorker.register("./sw.js", { scope: "./" });
    // Where service workers are blocked, nothing comes back.
    if (!registration) return;
    watchForUpdates(registration);
    const { active } = await navigator.serviceWorker.ready;
    if (!active) return;
    const used = performance.getEntriesByType("resource").map(({ name }) => name);
    const addresses = [
      location.href,
      ...used,
      ...further.map((one) => new URL(one, location.href).href),
    ];
    const answer = await ask(active, { keep: [...new Set(addresses)] });
    if (answer.error === undefined) {
      state.hidden = false;
      state.dataset.ready = "true";
      state.dataset.kept = what;
      setText(state, "offlineReady");
    }
  } catch {
    // Private windows and some embedders refuse service workers: the page works without.
  }
}

function ask(worker: ServiceWorker, message: unknown): Promise<{ kept?: number; error?: string }> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data as { kept?: number; error?: string });
    worker.postMessage(message, [port2]);
  });
}

let watching = false;

function watchForUpdates(registration: ServiceWorkerRegistration): void {
  if (watching) return;
  watching = true;
  const offer = () => {
    if (registration.waiting && navigator.serviceWorker.controller) update.hidden = false;
  };
  offer();
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
  update.addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), {
      once: true,
    });
    registration.waiting?.postMessage({ activate: true });
  });
}
