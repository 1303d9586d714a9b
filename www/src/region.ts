// The part of the picture that is looked at: a box that is dragged, or moved by keys.
import { element } from "./dom.js";
import { type Box, inStage, isMirrored, layOver, pictureRect, stage } from "./stage.js";
import { onLanguage, setText, text } from "./text.js";

const frame = element("region");
const toggle = element<HTMLButtonElement>("region-toggle");
const hint = element("region-hint");

/** Less is a tap. In pixels. */
const DRAG_PIXELS = 8;
/** As fractions of the picture. */
const [STEP, SMALLEST] = [0.05, 0.05];
const MIDDLE: Box = { left: 0.25, top: 0.25, right: 0.75, bottom: 0.75 };

let box: Box | undefined;
let changed: () => void = () => {};

/** The part that is looked at; nothing is the whole picture. */
export function region(): Box | undefined {
  return box;
}

/** Looks at the whole picture again. */
export function clearRegion(): void {
  set(undefined, false);
}

function set(next: Box | undefined, tell = true): void {
  box = next;
  frame.hidden = !next;
  hint.hidden = !next;
  toggle.setAttribute("aria-pressed", String(next !== undefined));
  setText(toggle, next ? "regionClear" : "region");
  stage.classList.toggle("choosing", next !== undefined);
  if (next) {
    layOver(frame, next);
    describe();
  }
  if (tell) changed();
}

function describe(): void {
  if (!box) return;
  const per = (part: number) => Math.round(part * 100);
  const size = { width: per(box.right - box.left), height: per(box.bottom - box.top) };
  frame.setAttribute("aria-label", text("regionLabel", size));
}
onLanguage(describe);

/** Where in the picture a pointer is. */
function at({ clientX, clientY }: PointerEvent): { x: number; y: number } {
  const { left, top } = stage.getBoundingClientRect();
  const picture = pictureRect();
  const inside = (value: number) => Math.min(1, Math.max(0, value));
  const x = inside((clientX - left - stage.clientLeft - picture.left) / picture.width);
  const y = inside((clientY - top - stage.clientTop - picture.top) / picture.height);
  return { x: isMirrored() ? 1 - x : x, y };
}

function between(a: { x: number; y: number }, b: { x: number; y: number }): Box {
  return {
    left: Math.min(a.x, b.x),
    top: Math.min(a.y, b.y),
    right: Math.max(a.x, b.x),
    bottom: Math.max(a.y, b.y),
  };
}

const largeEnough = (one: Box) =>
  one.right - one.left >= SMALLEST && one.bottom - one.top >= SMALLEST;

/**
 * Starts listening.
 *
 * @param onChange Another part is to be looked at
 * @param onTap The stage was tapped, not dragged over
 */
export function startRegion(onChange: () => void, onTap: () => void): void {
  changed = onChange;
  toggle.addEventListener("click", () => {
    if (!inStage()) return;
    set(box ? undefined : MIDDLE);
    if (box) frame.focus();
  });
  frame.addEventListener("place", () => {
    if (box) layOver(frame, box);
  });
  frame.addEventListener("keydown", byKey);

  let from: { x: number; y: number; event: PointerEvent } | undefined;
  let drawn: Box | undefined;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { ...at(event), event };
    drawn = undefined;
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from || !inStage()) return;
    // A finger scrolls the page, unless a part is being chosen.
    if (event.pointerType !== "mouse" && !box) return;
    const far = Math.hypot(event.clientX - from.event.clientX, event.clientY - from.event.clientY);
    if (far < DRAG_PIXELS && !drawn) return;
    stage.setPointerCapture(event.pointerId);
    drawn = between(from, at(event));
    frame.hidden = false;
    layOver(frame, drawn);
  });
  const end = (event: PointerEvent) => {
    const tapped = from && !drawn && event.type === "pointerup";
    if (drawn) set(largeEnough(drawn) ? drawn : box);
    from = undefined;
    drawn = undefined;
    if (tapped && !box) onTap();
  };
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  // Browsers drag pictures themselves.
  stage.addEventListener("dragstart", (event) => event.preventDefault());
}

function byKey(event: KeyboardEvent): void {
  if (!box) return;
  if (event.key === "Escape") {
    set(undefined);
    toggle.focus();
    return;
  }
  const [x, y] =
    { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ??
    [];
  if (x === undefined || y === undefined) return;
  event.preventDefault();
  const across = (isMirrored() ? -x : x) * STEP;
  const down = y * STEP;
  const { left, top, right, bottom } = box;
  if (event.shiftKey) {
    const resized = {
      left,
      top,
      right: Math.min(1, right + across),
      bottom: Math.min(1, bottom + down),
    };
    if (largeEnough(resized)) set(resized);
    return;
  }
  // As far as the edge, and no part of it beyond.
  const dx = Math.min(1 - right, Math.max(-left, across));
  const dy = Math.min(1 - bottom, Math.max(-top, down));
  set({ left: left + dx, top: top + dy, right: right + dx, bottom: bottom + dy });
}
