// Drawings in SVG: points by size and share, and histograms.

const NAMESPACE = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children. */
export function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: (Node | string)[]
): SVGElement {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 320, 48, 120, 16, 32];

/** Points with their names: `x` from 0 to the right, `y` a share. */
export function plot(
  points: readonly { name: string; x: number; y: number }[],
  title: string,
): SVGElement {
  const most = Math.max(...points.map(({ x }) => x)) || 1;
  const least = Math.min(...points.map(({ y }) => y));
  const low = Math.max(0, Math.floor(least * 10 - 0.5) / 10);
  const across = (x: number) => LEFT + (x / most) * (WIDTH - LEFT - RIGHT);
  const down = (y: number) => TOP + ((1 - y) / (1 - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const marks = [];
  const steps = Math.max(1, Math.round((1 - low) * 10));
  for (let step = 0; step <= steps; step++) {
    const y = low + (step * (1 - low)) / steps;
    const label = `${Math.round(100 * y)} %`;
    marks.push(svg("text", { x: LEFT - 6, y: down(y) + 4, "text-anchor": "end" }, label));
  }
  const [corner, bottom] = [`${LEFT},${TOP}`, HEIGHT - BOTTOM];
  const axis = svg("polyline", {
    points: `${corner} ${LEFT},${bottom} ${WIDTH - RIGHT},${bottom}`,
    class: "axis",
    fill: "none",
  });
  const end = { x: WIDTH - RIGHT, y: HEIGHT - 8, "text-anchor": "end" };
  const placed: number[] = [];
  const drawn = points.flatMap(({ name, x, y }) => {
    // Names of points that are near one another stand below one another.
    let line = down(y) + 4;
    while (placed.some((other) => Math.abs(other - line) < 14)) line += 14;
    placed.push(line);
    return [
      svg("circle", { cx: across(x), cy: down(y), r: 5 }),
      svg("text", { x: across(x) + 10, y: line }, name),
    ];
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title },
    axis,
    ...marks,
    svg("text", { x: LEFT, y: HEIGHT - 8 }, "0"),
    svg("text", end, `${Math.round(most)} kB`),
    ...drawn,
  );
}

/** Counts by equal parts of a range. */
export function histogram(
  counts: readonly number[],
  [low, high]: readonly [string, string],
  title: string,
): SVGElement {
  const [width, height] = [480, 120];
  const most = Math.max(...counts) || 1;
  const step = width / counts.length;
  const bars = counts.map((count, at) => {
    // A single element is seen, too.
    const tall = count === 0 ? 0 : Math.max(1, (count / most) * (height - 20));
    return svg("rect", { x: at * step, y: height - 20 - tall, width: step - 1, height: tall });
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": title },
    ...bars,
    svg("text", { x: 0, y: height - 4 }, low),
    svg("text", { x: width, y: height - 4, "text-anchor": "end" }, high),
  );
}
