// The ready service worker: copied to the root of a site, it makes pages work offline after a visit.
import { offlineVisited } from "./service-worker.js";

/** By pkg-config/bundle.mjs. */
declare const ACHADO_VERSION: string;

offlineVisited({ version: ACHADO_VERSION }).listen();
