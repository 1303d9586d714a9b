// What a page that nobody drives does (alone.mjs): it waits, works, and tells the server what came of it.

/** Where the server listens: `listener` of alone.mjs. */
export const TOLD = "/told";

/** How long a new browser is left alone, until its own start takes no processor time any more. */
const SETTLE_MS = 700;

/** Tells what `work` gives, or the error that it ends in. */
export async function tell(work) {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const found = await work().catch((error) => ({ error: String(error) }));
  await fetch(TOLD, { method: "POST", body: JSON.stringify(found) });
}
