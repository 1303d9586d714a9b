// The script of the worker that trains heads and writes files.
import * as glue from "./generated/maker/achado.js";
import { serveWork } from "./maker/local-work.js";
import type { WorkRequest, WorkResponse } from "./maker/work.js";

// `self` is typed as a window; a worker's postMessage takes a message alone.
const post = self.postMessage as (response: WorkResponse) => void;
const answer = serveWork(glue, post);

self.onmessage = ({ data }: MessageEvent<WorkRequest>) => answer(data);
