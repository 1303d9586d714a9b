// The service worker: keeps the page's files, each known by its hash, so that the page works with
// the network cut.
import { offlineFiles } from "achado/service-worker";

/** Each file of the page, relative to this script, with its SHA-256. Filled in by the build. */
declare const FILES: Readonly<Record<string, string>>;
/** Those without which no page opens; others are kept when a page has used them. */
declare const SHELL: readonly string[];

offlineFiles({ files: FILES, shell: SHELL, prefix: "achado-page-" }).listen();
