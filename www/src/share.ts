// The answer as text, as Markdown, and as a picture with its answers below.
import { isUnsure, nameOf, scoreText, shownAnswer } from "./answer.js";
import { copy, startCopyButtons } from "./clipboard.js";
import { element, make, save } from "./dom.js";
import { inUse } from "./models.js";
import { inStage, isMirrored, preview, sizeShown } from "./stage.js";
import { setText, text } from "./text.js";

const said = element("share-said");
const share = element<HTMLButtonElement>("share");

/** In pixels. */
const [WIDTH, MARGIN, LINE] = [720, 32, 52];
const SHOWN = 3;

/** Whether this browser hands pictures on to other applications. */
function canShare(): boolean {
  const probe = new File([], "achado.png", { type: "image/png" });
  return typeof navigator.canShare === "function" && navigator.canShare({ files: [probe] });
}

/** The buttons below the answer, and those that copy an element's text. */
export function startSharing(): void {
  setText(share, canShare() ? "sharePicture" : "savePicture");
  element("copy-text").addEventListener("click", () => void copy(asText(), said));
  element("copy-markdown").addEventListener("click", () => void copy(asMarkdown(), said));
  share.addEventListener("click", () => void sharePicture());
  startCopyButtons();
}

function rowsOf(): [name: string, score: string][] {
  return (shownAnswer()?.best ?? []).map((one) => [nameOf(one), scoreText(one.score)]);
}

function asText(): string {
  return rowsOf()
    .map(([name, score]) => `${name}: ${score}`)
    .join("\n");
}

function asMarkdown(): string {
  const escaped = (words: string) => words.replace(/[\\`*_{}[\]<>|#]/g, "\\$&");
  const rows = rowsOf().map(([name, score]) => `| ${escaped(name)} | ${score} |`);
  return [`| ${escaped(inUse()?.name ?? "")} | |`, "| --- | ---: |", ...rows, ""].join("\n");
}

async function sharePicture(): Promise<void> {
  const picture = await draw();
  if (!picture) return;
  const name = `${(preview.dataset.name ?? "achado").replace(/\.[^.]*$/, "")}-achado.png`;
  const file = new File([picture], name, { type: "image/png" });
  if (!canShare()) return save(picture, name);
  // The visitor may change his mind.
  await navigator.share({ files: [file], text: asText() }).catch(() => {});
}

/** The picture with the best answers below it. */
async function draw(): Promise<Blob | null> {
  const source = inStage();
  const { width, height } = sizeShown();
  const answer = shownAnswer();
  if (!source || width === 0 || !answer) return null;
  const tall = Math.round(Math.min(WIDTH, (height * WIDTH) / width));
  const rows = rowsOf().slice(0, SHOWN);
  const canvas = make("canvas", {
    width: WIDTH,
    height: tall + MARGIN * 2 + LINE * (rows.length + 0.6),
  });
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const scale = Math.min(WIDTH / width, tall / height);
  const [w, h] = [width * scale, height * scale];
  context.save();
  if (isMirrored()) context.setTransform(-1, 0, 0, 1, WIDTH, 0);
  context.drawImage(source, (WIDTH - w) / 2, (tall - h) / 2, w, h);
  context.restore();
  rows.forEach(([name, score], place) => {
    const y = tall + MARGIN + LINE * (place + 0.6);
    const share = Math.min(1, Math.max(0, answer.best[place]?.score ?? 0));
    context.fillStyle = "#0f6b5c";
    context.fillRect(MARGIN, y + 12, share * (WIDTH - 2 * MARGIN), 6);
    context.fillStyle = "#1c2624";
    context.font = `${place === 0 && !isUnsure(answer) ? 700 : 400} 26px system-ui, sans-serif`;
    context.textAlign = "right";
    context.fillText(score, WIDTH - MARGIN, y);
    context.textAlign = "left";
    context.fillText(name, MARGIN, y, WIDTH - 2 * MARGIN - 130);
  });
  context.fillStyle = "#55635f";
  context.font = "20px system-ui, sans-serif";
  const by = `achado · ${inUse()?.name ?? ""}`;
  context.fillText(
    isUnsure(answer) ? `${by} · ${text("unsure", { limit: scoreText(0.3) })}` : by,
    MARGIN,
    canvas.height - MARGIN,
    WIDTH - 2 * MARGIN,
  );
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
