// A page of what was found: without scripts, pictures as SVG.
import type { Evaluation, Picture, TrainReport } from "./types.js";

/** The accuracy of a head that was trained on so many pictures. */
export interface CurvePoint {
  pictures: number;
  accuracy: number;
  /** Of 95 %. */
  interval: [number, number];
}

/** What the page tells. */
export interface ReportContent {
  title: string;
  evaluation: Evaluation | null;
  /** Whether on pictures that were held out; else by cross-validation. */
  held: boolean;
  curve: CurvePoint[];
  report: TrainReport | undefined;
  /** The address of a picture. */
  link(picture: Picture): string;
}

const escaped = (text: string) =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const percent = (share: number | null) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
a { color: inherit; }
.mistakes { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
.mistakes img { width: 10rem; height: 10rem; object-fit: cover; display: block; border-radius: .5rem; }
.mistakes li { width: 10rem; }
`;

/** The page, as HTML. */
export function reportPage({
  title,
  evaluation,
  held,
  curve,
  report,
  link,
}: ReportContent): string {
  const parts = [`<h1>${escaped(title)}</h1>`];
  if (report) {
    parts.push(
      `<p>${report.pictures} pictures, L2 ${report.l2.toPrecision(3)}, temperature ${report.temperature.toPrecision(3)}, threshold for none of these ${report.threshold.toFixed(3)}.</p>`,
    );
    if (report.warnings.length > 0) {
      const items = report.warnings.map((warning) => `<li>${escaped(warning)}</li>`).join("");
      parts.push(`<ul>${items}</ul>`);
    }
  }
  if (evaluation) {
    const { accuracy, interval, pictures, loss, calibrationError } = evaluation;
    const where = held ? "pictures that were not trained on" : "pictures by cross-validation";
    parts.push(
      `<p><strong>${percent(accuracy)}</strong> of ${pictures} ${where} are right; between ${percent(interval[0])} and ${percent(interval[1])} (95 %). Loss ${loss.toFixed(4)}, calibration error ${percent(calibrationError)}.</p>`,
      "<h2>Confusion matrix</h2>",
      confusionSvg(evaluation),
      "<h2>Classes</h2>",
      classTable(evaluation),
    );
  }
  if (curve.length > 1) parts.push("<h2>Accuracy by number of pictures</h2>", curveSvg(curve));
  if (evaluation && evaluation.mistakes.length > 0) {
    parts.push(`<h2>Mistakes</h2>`, mistakeLists(evaluation, link));
  }
  const skipped = [...(report?.skipped ?? []), ...(evaluation?.skipped ?? [])];
  if (skipped.length > 0) {
    const items = skipped.map(
      ({ name, reason }) => `<li>${escaped(name)}: ${escaped(reason)}</li>`,
    );
    parts.push("<h2>Left out</h2>", `<ul>${items.join("")}</ul>`);
  }
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
${parts.join("\n")}
</html>
`;
}

/** Rows are what pictures show, columns what was said; cells of mistakes lead to their pictures. */
export function confusionSvg({ labels, confusionMatrix }: Evaluation): string {
  const cell = labels.length > 20 ? 18 : 44;
  const side = 8 * Math.min(24, Math.max(4, ...labels.map((label) => label.length)));
  const size = side + cell * labels.length;
  const cells: string[] = [];
  confusionMatrix.forEach((row, y) => {
    const all = row.reduce((sum, count) => sum + count, 0);
    row.forEach((count, x) => {
      const strength = all === 0 ? 0 : count / all;
      const color = x === y ? `rgba(16, 140, 90, ${strength})` : `rgba(210, 50, 40, ${strength})`;
      const [left, top] = [side + x * cell, side + y * cell];
      const said = `${labels[y]} taken for ${labels[x]}: ${count}`;
      const rect = `<rect x="${left}" y="${top}" width="${cell - 1}" height="${cell - 1}" fill="${color}" stroke="currentColor" stroke-opacity=".2"><title>${escaped(said)}</title></rect>`;
      const number = `<text x="${left + cell / 2}" y="${top + cell / 2 + 4}" text-anchor="middle">${count}</text>`;
      const shown = count > 0 ? rect + number : rect;
      cells.push(x !== y && count > 0 ? `<a href="#m-${y}-${x}">${shown}</a>` : shown);
    });
  });
  const names = labels.map((label, at) => {
    const place = side + at * cell + cell / 2;
    const text = escaped(label.length > 24 ? `${label.slice(0, 23)}…` : label);
    return (
      `<text x="${side - 8}" y="${place + 4}" text-anchor="end">${text}</text>` +
      `<text transform="translate(${place + 4} ${side - 8}) rotate(-90)">${text}</text>`
    );
  });
  return `<svg viewBox="0 0 ${size} ${size}" width="${size}" height="${size}" role="img" aria-label="Confusion matrix: rows are classes, columns what was said">${names.join("")}${cells.join("")}</svg>`;
}

function classTable({ perClass }: Evaluation): string {
  const rows = perClass.map(({ label, precision, recall, f1, support }) => {
    const cells = [percent(precision), percent(recall), percent(f1), support];
    return `<tr><td>${escaped(label)}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  return `<table><tr><th>Class</th><th>Precision</th><th>Recall</th><th>F1</th><th>Pictures</th></tr>${rows.join("")}</table>`;
}

/** Accuracy over the number of pictures, with intervals of 95 %. */
export function curveSvg(curve: readonly CurvePoint[]): string {
  const [width, height, left, bottom] = [560, 280, 48, 32];
  const most = Math.max(...curve.map(({ pictures }) => pictures));
  const least = Math.min(...curve.map(({ interval }) => interval[0]));
  const floor = Math.max(0, Math.floor(least * 10) / 10);
  const x = (pictures: number) => left + ((width - left - 16) * pictures) / most;
  const y = (share: number) =>
    height - bottom - ((height - bottom - 16) * (share - floor)) / (1 - floor || 1);
  const lines: string[] = [];
  for (let tick = floor; tick < 1.001; tick += 0.1) {
    const at = y(tick).toFixed(1);
    lines.push(
      `<line x1="${left}" x2="${width - 16}" y1="${at}" y2="${at}" stroke="currentColor" stroke-opacity=".15"/>`,
      `<text x="${left - 8}" y="${Number(at) + 4}" text-anchor="end">${Math.round(100 * tick)} %</text>`,
    );
  }
  const points = curve.map(
    ({ pictures, accuracy }) => `${x(pictures).toFixed(1)},${y(accuracy).toFixed(1)}`,
  );
  lines.push(
    `<polyline points="${points.join(" ")}" fill="none" stroke="rgb(16, 140, 90)" stroke-width="2"/>`,
  );
  for (const { pictures, accuracy, interval } of curve) {
    const at = x(pictures).toFixed(1);
    lines.push(
      `<line x1="${at}" x2="${at}" y1="${y(interval[0]).toFixed(1)}" y2="${y(interval[1]).toFixed(1)}" stroke="rgb(16, 140, 90)" stroke-opacity=".5"/>`,
      `<circle cx="${at}" cy="${y(accuracy).toFixed(1)}" r="4" fill="rgb(16, 140, 90)"><title>${pictures} pictures: ${percent(accuracy)}</title></circle>`,
      `<text x="${at}" y="${height - 8}" text-anchor="middle">${pictures}</text>`,
    );
  }
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Accuracy by number of pictures">${lines.join("")}</svg>`;
}

function mistakeLists(
  { labels, mistakes }: Evaluation,
  link: (picture: Picture) => string,
): string {
  const lists: string[] = [];
  labels.forEach((label, y) => {
    labels.forEach((predicted, x) => {
      const own = mistakes.filter((one) => one.label === label && one.predicted === predicted);
      if (own.length === 0) return;
      const items = own.map(({ picture, score }) => {
        const [address, name] = [escaped(link(picture)), escaped(picture.name)];
        return `<li><a href="${address}"><img src="${address}" alt="${name}" loading="lazy"></a>${name}, ${percent(score)}</li>`;
      });
      lists.push(
        `<h3 id="m-${y}-${x}">${escaped(label)} taken for ${escaped(predicted)}</h3>`,
        `<ul class="mistakes">${items.join("")}</ul>`,
      );
    });
  });
  return lists.join("\n");
}
